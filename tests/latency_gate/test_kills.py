"""kill -9 of every kind of process: what the rows say, and a small run with real processes."""

from collections import Counter

import pytest
from rich.console import Console

from latency_gate.judge import BROKEN, OK, OVER
from latency_gate.kills import WAITING, Outcome, judge, run_kills
from latency_gate.visitors import PROMISES, Verdict

LOAD = Counter(personalised=9, answers_after_no=9, noes=9, yeses=9, sent_again=9)


def rows(broken=(), seen=LOAD, kills=4, waiting=0):
    verdict = Verdict(Counter(broken), Counter(seen))
    return {row.name: row.status for row in judge(Outcome(verdict, Counter(lead=kills), waiting, 1.0), 4)}


def test_nothing_broken_under_load_is_green():
    """Every row is ok."""
    assert set(rows().values()) == {OK}


@pytest.mark.parametrize("promise", PROMISES)
def test_one_broken_promise_turns_the_gate_red(promise):
    """One is too many, and the row is named."""
    found = rows(broken=[promise])
    assert [name for name, status in found.items() if status != OK] == [promise.replace("_", " ")]
    assert found[promise.replace("_", " ")] == OVER


def test_a_withdrawal_that_still_waits_turns_the_gate_red():
    """What the control plane never hears of is lost."""
    assert rows(waiting=1)[WAITING] == OVER


@pytest.mark.parametrize("name", LOAD)
def test_a_run_without_load_says_nothing(name):
    """No answers after a no, nothing personalised, nothing sent again: nothing was tried."""
    assert rows(seen={**LOAD, name: 0})["load"] == BROKEN


def test_fewer_kills_than_asked_for_are_no_run():
    """A killer that stopped early turns the gate red."""
    assert rows(kills=3)["kills"] == BROKEN


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # the first run builds the components
def test_the_last_word_survives_kills_of_every_process(tmp_path):
    """Two POPs, one of two workers, and a control plane: each kind of process is killed under load, and two at once."""
    document, found = run_kills(tmp_path, tmp_path, Console(quiet=True), 8, lambda done, total: None, visitors=12)

    assert {row.name: row.status for row in found} == {row.name: OK for row in found}, document["examples"]
    assert document["kills"] == {
        "lead": 2, "worker": 2, "POP": 2, "control plane": 1, "POP without control plane": 1,
    }  # fmt: skip
