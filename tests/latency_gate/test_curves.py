"""What the curves suite makes of its points, and that each point can be measured."""

import json
import subprocess
import sys

import pytest

from latency_gate.curves.plot import draw
from latency_gate.curves.points import CURVES, Measured
from latency_gate.curves.suite import SIZES, exponent, judge
from latency_gate.judge import OK, OVER


def points(*figures, held=(1.0, 1.0, 1.0)):
    sizes = (10, 100, 1_000)
    return [Measured("log", n, {"a step": us}, mib) for n, us, mib in zip(sizes, figures, held, strict=True)]


def statuses(measured):
    return [row.status for row in judge(measured)]


def test_a_linear_step_passes_and_a_quadratic_one_does_not():
    """The gate is one step steeper than the size itself."""
    assert statuses(points(50, 500, 5_000)) == [OK, OK]
    assert statuses(points(50, 5_000, 500_000)) == [OVER, OK]


def test_a_step_that_is_steep_at_the_end_only_is_over():
    """The steepest rise counts: no average over the sizes hides it."""
    assert statuses(points(50, 50, 5_000)) == [OVER, OK]


def test_memory_is_judged_like_time():
    """What a process holds may grow as the size does, no faster."""
    assert statuses(points(5, 5, 5, held=(1.0, 10.0, 100.0))) == [OK, OK]
    assert statuses(points(5, 5, 5, held=(1.0, 10.0, 1_000.0))) == [OK, OVER]


@pytest.mark.parametrize("figures", [(0.01, 0.9, 0.9), (0.0, 0.0, 0.5)])
def test_what_is_too_small_to_measure_has_not_grown(figures):
    """Below the least figure there is no rise."""
    assert exponent((1, 10, 100), figures, 1.0) == 0


@pytest.mark.parametrize("curve", ["slots", "visitors"])
def test_a_point_is_measured_on_the_real_parts(curve, tmp_path):
    """A small size, in a process of its own, as the suite runs it."""
    command = [sys.executable, "-m", "latency_gate.curves.points", curve, "20", str(tmp_path / "point")]
    found = Measured(**json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))

    assert (found.curve, found.size) == (curve, 20)
    assert found.us
    assert min(found.us.values()) > 0


def test_each_curve_has_sizes_and_a_panel():
    """Points, sizes and picture name the same curves."""
    assert set(CURVES) == set(SIZES)
    drawn = draw({curve: [Measured(curve, n, {"a step": 1.0 * n}, 1.0) for n in (1, 10)] for curve in CURVES})
    assert drawn.count("memory held") == len(CURVES)
