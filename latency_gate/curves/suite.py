"""All points of all curves, each in a process of its own; how steeply each step grows, as an exponent of the size.

    document, rows = run_curves(place, report, out)      # `edge bench --suite curves --gate`

A step that takes as long at every size has the exponent 0, a linear one 1. The gate is `AT_MOST`, a little above 1,
because each point is measured once on a machine that other work may use.
"""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from fleet.machine import describe
from latency_gate.curves.plot import draw
from latency_gate.curves.points import Measured
from latency_gate.judge import OK, OVER, Row

SIZES: Mapping[str, Sequence[int]] = {
    "slots": (5, 50, 500),
    "assets": (50, 500, 5_000),
    "denials": (1_000, 10_000, 100_000, 1_000_000),
    "visitors": (1_000, 10_000, 100_000, 1_000_000),
    "log": (1_000, 10_000, 100_000, 1_000_000),
    "pops": (10, 100, 300),
}
AT_MOST = 1.1
LEAST_US, LEAST_MIB = 1.0, 1.0  # below this a figure says nothing of growth


def run_curves(
    place: Path, report: Path, out: Console, sizes: Mapping[str, Sequence[int]] = SIZES
) -> tuple[dict[str, Any], list[Row]]:
    """Measure every point; write `curves.json` and `curves.svg`; judge the steepest rise of each step."""
    curves = {curve: [_point(curve, size, place, out) for size in points] for curve, points in sizes.items()}
    document = {
        "machine": describe(),
        "curves": {
            curve: [{"size": one.size, "us": one.us, "held_mib": one.held_mib} for one in points]
            for curve, points in curves.items()
        },
    }
    report.mkdir(parents=True, exist_ok=True)
    (report / "curves.json").write_text(json.dumps(document, indent=1))
    (report / "curves.svg").write_text(draw(curves))
    return document, [row for points in curves.values() for row in judge(points)]


def judge(points: Sequence[Measured]) -> Iterator[Row]:
    """A row for each step of a curve, and one for memory: its steepest exponent between two sizes."""
    sizes, curve = [point.size for point in points], points[0].curve
    for step in points[0].us:
        figures = [point.us[step] for point in points]
        yield _row(f"{curve}: {step}", sizes, figures, LEAST_US, "µs")
    yield _row(f"{curve}: memory", sizes, [point.held_mib for point in points], LEAST_MIB, "MiB")


def exponent(sizes: Sequence[int], figures: Sequence[float], least: float) -> float:
    """The steepest rise from one size to the next, as the power of the size that it follows."""
    floored = [max(figure, least) for figure in figures]
    pairs = zip(pairwise(sizes), pairwise(floored), strict=True)
    return max(math.log(there / here) / math.log(more / less) for (less, more), (here, there) in pairs)


def _row(name: str, sizes: Sequence[int], figures: Sequence[float], least: float, unit: str) -> Row:
    steepest = exponent(sizes, figures, least)
    text = ", ".join(f"{size:,}: {figure:,.4g}" for size, figure in zip(sizes, figures, strict=True))
    return Row(name, OK if steepest <= AT_MOST else OVER, round(steepest, 2), AT_MOST, "", f"{unit} at {text}")


def _point(curve: str, size: int, place: Path, out: Console) -> Measured:
    """One point, in a process of its own: nothing of another point lies in its memory."""
    where = place / "curves" / f"{curve}-{size}"
    shutil.rmtree(where, ignore_errors=True)
    command = [sys.executable, "-m", "latency_gate.curves.points", curve, str(size), str(where)]
    with out.status(f"{curve}: {size:,} …"):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(where, ignore_errors=True)
    if run.returncode:
        raise RuntimeError(f"{curve} at {size}: {run.stderr[-800:]}")
    return Measured(**json.loads(run.stdout.rstrip().rpartition("\n")[2]))
