"""Weeks are ISO weeks in UTC, without a gap over New Year."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from consent_core.privacy.weeks import (
    WEEK_S,
    index_of,
    later,
    monday_of,
    sending_minute,
    week_of,
    windows,
)


@given(st.integers(0, 4_000_000_000))
def test_a_moment_lies_in_its_week(at):
    """Between its Monday and the next."""
    week = week_of(at)

    assert monday_of(week) <= at < monday_of(week) + WEEK_S
    assert datetime.fromtimestamp(monday_of(week), UTC).strftime("%A %H:%M") == "Monday 00:00"


@given(st.integers(0, 6_000))
def test_following_weeks_have_following_numbers(index):
    """Also where a year has 53."""
    week = later("1970-W02", index)

    assert index_of(later(week, 1)) == index_of(week) + 1


def test_new_year_belongs_to_the_week_that_holds_its_thursday():
    """ISO 8601: 1 January 2027 is a Friday of 2026-W53."""
    assert week_of(int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())) == "2026-W53"
    assert later("2026-W53", 1) == "2027-W01"


def test_a_week_is_part_of_five_rows_of_five():
    """All of them must keep the promise."""
    rows = windows("2027-W02", 5)

    assert len(rows) == 5
    assert all(index_of("2027-W02") in row and len(row) == 5 for row in rows)


def test_a_place_sends_at_a_minute_of_its_own():
    """Fixed by the name, so that the time of sending tells nothing."""
    assert sending_minute("tokyo-1") == sending_minute("tokyo-1")
    assert len({sending_minute(f"pop-{n}") for n in range(200)}) > 40
