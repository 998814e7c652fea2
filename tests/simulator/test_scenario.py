"""How scenarios are said: what is accepted, and what is refused before anything runs."""

import pytest
from typer.testing import CliRunner

from edge_cli.edge import app
from simulator.scenario import (
    LENGTH_S,
    TAIL_S,
    Event,
    Scenario,
    parse_duration,
    parse_events,
    parse_range,
    parse_share,
    parse_skew,
    say_pops,
)


def test_a_partition_names_pop_moment_and_length() -> None:
    """The form of the documentation."""
    assert parse_events("partition", "3@10s+70s", 5) == [Event("partition", 3, 10.0, 70.0)]


def test_a_length_that_is_not_said_is_the_kinds_own() -> None:
    """`5@20s` kills for as long as a restart takes."""
    assert parse_events("kill", "5@20s", 5) == [Event("kill", 5, 20.0, LENGTH_S["kill"])]


def test_ranges_and_all_name_several_pops() -> None:
    """One flag for a region."""
    assert [event.pop for event in parse_events("kill", "2-4@1s", 9)] == [2, 3, 4]
    assert [event.pop for event in parse_events("kill", "all@1s", 3)] == [1, 2, 3]


def test_pops_are_told_as_they_are_said() -> None:
    """Back from numbers to ranges."""
    assert say_pops([7, 3, 5, 6]) == "3, 5-7"


def test_times_have_units() -> None:
    """A number alone could be anything."""
    assert [parse_duration(text) for text in ("500ms", "10s", "1.5m")] == [0.5, 10.0, 90.0]
    assert parse_range("40ms") == (0.04, 0.04)
    assert parse_range("5ms..150ms") == (0.005, 0.15)
    assert parse_share("0.5%") == 0.005


def test_clocks_are_ahead_or_behind() -> None:
    """The sign is not optional."""
    assert parse_skew(["2@+90s", "3-4@-1m"], 5) == {2: 90.0, 3: -60.0, 4: -60.0}


@pytest.mark.parametrize(
    "text", ["", "3", "@10s", "3@", "3@10", "3@10s+", "3@10s+0s", "0@10s", "6@10s", "4-2@10s", "3@-10s", "x@10s",
             "3@10s+70s+1s", "3 @10s", "٣@10s", "3@1e9s", "3@10s-70s"],
)  # fmt: skip
def test_a_malformed_event_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"expected|numbered"):
        parse_events("partition", text, 5)


@pytest.mark.parametrize("text", ["2@90s", "2@+90", "2@++1s", "9@+1s"])
def test_a_malformed_skew_is_refused(text: str) -> None:
    """A clock without a sign is ambiguous."""
    with pytest.raises(ValueError, match=r"expected|numbered"):
        parse_skew([text], 5)


@pytest.mark.parametrize("text", ["1", "-1%", "50%x", "abc"])
def test_a_malformed_share_is_refused(text: str) -> None:
    """Shares are percentages."""
    with pytest.raises(ValueError, match="share"):
        parse_share(text)


def test_two_faults_of_one_process_may_not_overlap() -> None:
    """A POP that sleeps cannot be killed."""
    with pytest.raises(ValueError, match="overlap"):
        Scenario(pops=2, events=(Event("suspend", 1, 5, 30), Event("kill", 1, 10, 2)))


def test_different_faults_of_one_pop_may_overlap() -> None:
    """A POP may crash while it is cut off: the case that matters."""
    Scenario(pops=2, events=(Event("partition", 1, 5, 30), Event("kill", 1, 10, 2)))


def test_traffic_goes_on_after_the_last_event() -> None:
    """So that healing is seen."""
    assert Scenario(pops=3, events=(Event("partition", 1, 10, 70),)).length == 80 + TAIL_S


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--partition", "3@10"], "--partition"),
        (["--pops", "2", "--kill", "5@20s"], "numbered 1 to 2"),
        (["--skew", "2@90s"], "--skew"),
        (["--lag", "fast"], "--lag"),
        (["--duration", "5s", "--kill", "1@20s"], "after the end"),
        (["--pops", "0"], "--pops"),
        (["--processes", "2", "--partition", "1@1s"], "--processes"),
    ],
)
def test_a_usage_error_names_the_option_and_exits_with_2(arguments: list[str], told: str) -> None:
    """Before anything is started."""
    result = CliRunner().invoke(app, ["simulate", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})

    assert result.exit_code == 2
    assert told in result.stderr


def test_help_has_an_example() -> None:
    """As every command's."""
    result = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200", "TERM": "dumb"})

    assert result.exit_code == 0
    assert "edge simulate --pops 200" in result.stdout
