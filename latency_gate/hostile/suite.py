"""Each attack beside honest visitors: their P99 within twice what it is alone, and memory back after each.

    document, rows = run_hostile(place, report, out, 8, progress)      # `edge bench --suite hostile --gate`

Honest visitors ask over one connection and count what they wait. For each attack: alone, beside it, and then memory
(the sum of PSS over the POP's processes) until it is back or a minute has passed. Alone counts as at least 5 ms: below
that the scheduler decides, not the POP.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console

from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare
from latency_gate.hostile.attacks import ATTACKS
from latency_gate.judge import BROKEN, OK, OVER, Row
from latency_gate.run import Progress
from latency_gate.soak import MIB, token_cookie

POP = "hostile-1"
TIMES_ALONE = 2.0
LEAST_MS = 5.0
BACK_MIB = 10.0
BACK_S = 60.0
PAGES = ("/v1/slots/home-hero", "/v1/images/home-hero?w=768", "/v1/consent")
WARM_S = 2.0
LEAST_ANSWERS = 50  # fewer say nothing of a P99


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attack. Milliseconds at P99; answers beside it, those of them that were no 200; MiB kept afterwards."""

    attack: str
    alone_ms: float
    beside_ms: float
    answers: int
    bad: int
    kept_mib: float


def run_hostile(
    place: Path, report: Path, out: Console, seconds: int, progress: Progress, attacks: Sequence[str] = tuple(ATTACKS)
) -> tuple[dict[str, Any], list[Row]]:
    """Every attack for so many seconds. Writes `hostile.json`."""
    stage = prepare(place / "edge", place / "components", out)
    with Fleet(stage.data, [PopSpec(POP, "EU")], site=SHOP / "site", components=stage.components) as fleet:
        outcomes = play(fleet, POP, seconds, progress, attacks)
    document = {outcome.attack: asdict(outcome) for outcome in outcomes}
    (report / "hostile.json").write_text(json.dumps(document, indent=1))
    return document, judge(outcomes)


def play(fleet: Fleet, pop: str, seconds: float, progress: Progress, attacks: Sequence[str]) -> list[Outcome]:
    """Each attack in turn against one POP of a running fleet."""
    honest(fleet.url(pop), WARM_S)
    outcomes = []
    for done, name in enumerate(attacks, 1):
        outcomes.append(_play(fleet, pop, name, seconds))
        progress(done, len(attacks))
    return outcomes


def judge(outcomes: Sequence[Outcome]) -> list[Row]:
    """Two rows for each attack."""
    return [row for outcome in outcomes for row in (_waits(outcome), _memory(outcome))]


def _waits(outcome: Outcome) -> Row:
    times = outcome.beside_ms / max(outcome.alone_ms, LEAST_MS)
    enough = outcome.answers >= LEAST_ANSWERS and not outcome.bad
    status = BROKEN if not enough else OK if times <= TIMES_ALONE else OVER
    text = (
        f"{outcome.beside_ms:.1f} ms beside, {outcome.alone_ms:.1f} alone; {outcome.answers} answers, {outcome.bad} bad"
    )
    return Row(f"honest p99 beside {outcome.attack}, times alone", status, times, TIMES_ALONE, "", text)


def _memory(outcome: Outcome) -> Row:
    status = OK if outcome.kept_mib <= BACK_MIB else OVER
    return Row(
        f"memory kept after {outcome.attack}", status, outcome.kept_mib, BACK_MIB, "MiB", "PSS, a minute at most"
    )


def _play(fleet: Fleet, pop: str, name: str, seconds: float) -> Outcome:
    member = fleet.pops[pop].process
    if member is None:
        raise RuntimeError("the POP has not been started")
    process, url = psutil.Process(member.pid), fleet.url(pop)
    alone, _ = honest(url, seconds)
    before = resident(process)
    with attacking(url, name):
        beside, bad = honest(url, seconds)
    kept = _kept(process, before)
    return Outcome(name, p99(alone), p99(beside), len(beside), bad, kept)


@contextmanager
def attacking(url: str, name: str) -> Iterator[None]:
    """The attacker's process, for as long as the block lasts."""
    token = token_cookie(url).partition("=")[2]
    command = (sys.executable, "-P", "-m", "latency_gate.hostile.attacks", url.rpartition(":")[2], name, token)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as attacker:
        try:
            yield
        finally:
            attacker.send_signal(signal.SIGKILL)


def honest(url: str, seconds: float) -> tuple[list[float], int]:
    """Ask as a visitor does. Returns: milliseconds of each answer, and how many were no 200."""
    return asyncio.run(_honest(url, seconds))


async def _honest(url: str, seconds: float) -> tuple[list[float], int]:
    waits, bad, until = list[float](), 0, time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=30.0, trust_env=False) as client:
        while time.monotonic() < until:
            begun = time.perf_counter()
            answer = await client.get(PAGES[len(waits) % len(PAGES)])
            waits.append((time.perf_counter() - begun) * 1_000)
            bad += answer.status_code != 200
            await asyncio.sleep(0.002)
    return waits, bad


def p99(waits: Sequence[float]) -> float:
    """The nearest rank; infinite where nothing was answered."""
    return sorted(waits)[max(0, -(-len(waits) * 99 // 100) - 1)] if waits else float("inf")


def resident(process: psutil.Process) -> float:
    """MiB of a POP: the sum of PSS over its processes."""
    members = (process, *process.children(recursive=True))
    return sum(member.memory_full_info().pss for member in members if member.is_running()) / MIB


def _kept(process: psutil.Process, before: float) -> float:
    """MiB more than before, once they are few, or after a minute."""
    until = time.monotonic() + BACK_S
    while (kept := resident(process) - before) > BACK_MIB and time.monotonic() < until:
        time.sleep(0.5)
    return kept
