"""Fleets under faults, on simulated time: the real sync code, stores and control plane of each POP."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent_core.clock import ManualClock
from control_plane.app import create_app
from control_plane.settings import Settings
from edge_cli.edge import app
from simulator.plot import draw
from simulator.report import availability, kept, to_json
from simulator.scenario import Event, Scenario
from simulator.virtual.run import Outcome, simulate
from simulator.virtual.time import EPOCH
from simulator.virtual.watch import CLOSED, CONNECTED, CUT_OFF, DOWN, SHOWING

Play = Callable[..., Outcome]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """play(event, …, more of the scenario): four POPs whose control plane has its keys and first policy already."""
    data = tmp_path_factory.mktemp("data")
    create_app(Settings(data=data, clock=ManualClock(wall=EPOCH))).close()

    def run(*events: Event, pops: int = 4, requests: int = 2_000, **more: Any) -> Outcome:
        return simulate(Scenario(pops=pops, requests=requests, events=events, **more), data=data)

    return run


@pytest.fixture(scope="module")
def partitioned(play: Play) -> Outcome:
    """Four POPs; the third is cut off for 70 s while people and operators take things back everywhere."""
    return play(Event("partition", 3, 10.0, 70.0), changes=10)


def states(outcome: Outcome, pop: int, start: float, end: float) -> set[str]:
    """How a POP stood at any moment of a span."""
    line = outcome.lines[pop]
    return {line.at(start), *(state for at, state in line.after(start) if at < end)}


def test_a_partition_of_60_s_ends_personalisation_until_it_heals(partitioned: Outcome) -> None:
    """Cut off, still within the bound; closed before 60 s are over; in sync soon after the end."""
    assert states(partitioned, 3, 10.5, 60.0) == {CUT_OFF}
    assert states(partitioned, 3, 70.5, 79.9) == {CLOSED}
    assert states(partitioned, 3, 85.0, 100.0) == {CONNECTED}


def test_a_partition_shows_nothing_that_was_taken_back(partitioned: Outcome) -> None:
    """Not even to those who replay old tokens at the POP that cannot know."""
    assert partitioned.violations == []
    assert partitioned.entries > 5


def test_a_partition_deletes_nothing_and_skips_nothing(partitioned: Outcome) -> None:
    """Histories are as the log says, every number was applied once and in order, every "no" was passed on."""
    assert (partitioned.stored.lost, partitioned.stored.kept) == (0, 0)
    assert (partitioned.gaps, partitioned.behind, partitioned.outbox) == ([], [], 0)
    assert kept(partitioned)


def test_the_others_do_not_notice_a_partition(partitioned: Outcome) -> None:
    """They stay in sync and enforce at network speed."""
    assert all(states(partitioned, pop, 0.0, 100.0) == {CONNECTED} for pop in (1, 2, 4))
    assert all(pair.delay < 2.0 for pair in partitioned.pairs if pair.connected)


def test_a_pop_without_the_rule_is_found_out(play: Play) -> None:
    """The check can fail: a POP that believes itself in sync shows what was taken back, and is counted."""
    outcome = play(Event("partition", 3, 5.0, 110.0), pops=8, requests=4_000, careless=frozenset({3}))

    assert len(outcome.violations) > 0
    assert {violation.pop for violation in outcome.violations} == {3}
    assert not kept(outcome)


def test_an_idle_log_keeps_everybody_in_sync(play: Play) -> None:
    """No entry for two minutes is no reason to stop."""
    outcome = play(changes=0, duration=120.0)

    assert all(states(outcome, pop, 0.0, 120.0) == {CONNECTED} for pop in outcome.lines)
    assert availability(outcome.seconds) == 1.0


def test_replayed_answers_do_not_keep_a_pop_in_sync(play: Play) -> None:
    """They are signed, and for another nonce: refused, counted, and no younger than they are."""
    outcome = play(Event("replay", 2, 10.0, 70.0), changes=6)

    assert outcome.refused["log-nonce"] > 10
    assert CLOSED in states(outcome, 2, 70.5, 79.9)
    assert outcome.lines[2].at(95.0) == CONNECTED
    assert kept(outcome)


def test_a_machine_that_slept_for_60_s_wakes_up_closed(play: Play) -> None:
    """The clock that ages are measured on counts the sleep; a shorter sleep changes nothing."""
    outcome = play(Event("suspend", 2, 10.0, 65.0), Event("suspend", 3, 10.0, 20.0), changes=6)

    woken = [state for at, state in outcome.lines[2].after(74.9)]
    assert woken[:2] == [CLOSED, CONNECTED]
    assert [state for _, state in outcome.lines[3].after(0.0)] == [DOWN, CONNECTED]
    assert kept(outcome)


def test_a_log_that_goes_back_closes_every_pop(play: Play) -> None:
    """A control plane put back to an older copy: POPs know more than it does, stop, and say why."""
    outcome = play(Event("rewind", 0, 40.0, 0.0), changes=8, duration=60.0)

    assert outcome.alarms == dict.fromkeys(outcome.lines, "log-rewind")
    assert all(states(outcome, pop, 50.0, 60.0) == {CLOSED} for pop in outcome.lines)
    assert outcome.violations == []
    assert outcome.gaps == []


def test_crashed_and_restored_pops_come_back_without_a_gap(play: Play) -> None:
    """kill -9, an older `pop.db`, and a crash in the middle of a partition."""
    events = (
        Event("kill", 1, 20.0, 2.0),
        Event("restore", 2, 30.0, 2.0),
        Event("partition", 3, 10.0, 30.0),
        Event("kill", 3, 20.0, 2.0),
    )
    outcome = play(*events, changes=10)

    assert kept(outcome)
    assert outcome.violations == []
    assert states(outcome, 3, 22.1, 39.9) == {CLOSED}
    assert all(line.at(55.0) in SHOWING for line in outcome.lines.values())


def test_wrong_wall_clocks_change_nothing_that_counts(play: Play) -> None:
    """A clock put back does not make expired tokens live, one ahead does not end the sync."""
    outcome = play(changes=6, duration=40.0, skew={1: 90.0, 2: -90.0})

    assert kept(outcome)
    assert all(states(outcome, pop, 0.0, 40.0) == {CONNECTED} for pop in outcome.lines)


def test_without_push_polls_carry_everything_within_their_interval(play: Play) -> None:
    """5 s, ± 5 %, and the network."""
    outcome = play(changes=8, duration=40.0, push=False)

    session = [pair.delay for pair in outcome.pairs if pair.kind == "session"]
    assert 1.0 < max(session) < 6.5
    assert kept(outcome)


def test_a_run_writes_figures_and_a_picture(partitioned: Outcome, tmp_path: Path) -> None:
    """What readers of the JSON rely on, and two files that are pictures."""
    document = json.loads(json.dumps(to_json(partitioned, 1.0)))
    vector, bitmap = draw(partitioned, document, tmp_path)

    assert document["requests"] == 2_000
    assert document["personalised_after_bound"] == 0
    assert 0 < document["sync_p50_s"] <= document["sync_p99_s"] <= 60
    assert 0.5 < document["availability"] <= 1
    assert document["events"][0]["closed_after_s"] < 60.5
    assert document["machine"]["commit"]
    assert bitmap.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in vector.read_bytes()


def test_the_command_end_to_end(tmp_path: Path) -> None:
    """`edge simulate --pops 10` with every kind of fault: kept, said so in JSON, exit code 0."""
    arguments = [
        "--pops", "10", "--requests", "2000", "--partition", "3@5s+65s", "--kill", "5@20s", "--skew", "2@+90s",
        "--restore", "4@30s", "--cut-push", "6@5s+20s", "--seed", "7", "--out", str(tmp_path), "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, ["simulate", *arguments], catch_exceptions=False)

    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document == json.loads((tmp_path / "simulate.json").read_text())
    assert (document["ok"], document["requests"], document["sequence_gaps"]) == (True, 2000, [])
    assert document["scenario"]["seed"] == 7


def test_a_broken_promise_is_exit_code_1(tmp_path: Path) -> None:
    """So that a pipeline stops."""
    arguments = ["--pops", "8", "--requests", "4000", "--partition", "3@5s+110s"]
    result = CliRunner().invoke(app, ["simulate", *arguments, "--careless", "3", "--out", str(tmp_path)])

    assert result.exit_code == 1
    assert "personalised after the bound" in result.stdout
