"""What the workers suite makes of its turns."""

import pytest

from latency_gate.judge import ADVISORY, OK, OVER
from latency_gate.workers import (
    AT_LEAST,
    TURNS,
    Turn,
    judge_ratio,
)


def turns(two: float, others: float = 0.0, times: int = TURNS) -> list[Turn]:
    return [Turn(100.0, two, others)] * times


@pytest.mark.parametrize(("two", "status"), [(170, OK), (169, OVER)])
def test_a_pop_that_does_not_scale_turns_the_gate_red(two, status):
    """1.7 and not less, in the median of the quiet turns."""
    assert judge_ratio(turns(two), turns(two), 2).status == status
    assert AT_LEAST == 1.7


def test_noisy_turns_do_not_count_where_there_are_quiet_ones():
    """Other people's load on the second core says nothing about ours."""
    quiet = turns(180)
    row = judge_ratio(quiet + turns(110, others=0.9), quiet, 2)
    assert (row.status, row.measured) == (OK, 1.8)


@pytest.mark.parametrize(("quiet", "cores"), [(TURNS - 1, 2), (TURNS, 1)])
def test_a_machine_that_cannot_show_it_is_told_and_not_judged(quiet, cores):
    """Busy, or of one core: advice, with the reason."""
    row = judge_ratio(turns(110), turns(110, times=quiet), cores)
    assert row.status == ADVISORY
    assert "quiet" in row.explanation
