"""ISO weeks in UTC: the period in which one visitor contributes once.

    week_of(1_805_000_000) == "2027-W11"
    windows("2027-W11") -> the five rows of five weeks that it is part of

Source: ISO 8601 week dates (Monday to Sunday; week 1 holds the year's first Thursday).
"""

import hashlib
from datetime import UTC, datetime, timedelta

WEEK_S = 7 * 86_400
_MONDAY_0 = 4 * 86_400  # 1970-01-05, the first Monday after the epoch


def week_of(at: int) -> str:
    """The ISO week of a Unix time."""
    year, week, _ = datetime.fromtimestamp(at, UTC).isocalendar()
    return f"{year:04}-W{week:02}"


def monday_of(week: str) -> int:
    """The Unix time at which a week begins. A week 53 of a year of 52 is the next one's first."""
    first = datetime.fromisocalendar(int(week[:4]), 1, 1).replace(tzinfo=UTC)
    return int((first + timedelta(weeks=int(week[6:]) - 1)).timestamp())


def index_of(week: str) -> int:
    """Weeks since the first Monday of 1970: consecutive weeks have consecutive numbers, also over New Year."""
    return (monday_of(week) - _MONDAY_0) // WEEK_S


def week_at(index: int) -> str:
    """The week of an index."""
    return week_of(_MONDAY_0 + index * WEEK_S)


def later(week: str, weeks: int) -> str:
    """The week so many weeks later, earlier if negative."""
    return week_at(index_of(week) + weeks)


def windows(week: str, length: int) -> list[range]:
    """Every row of `length` consecutive weeks that `week` is part of, as ranges of indices."""
    at = index_of(week)
    return [range(first, first + length) for first in range(at - length + 1, at + 1)]


def sending_minute(pop: str) -> int:
    """The minute of the hour at which a place finishes its week: fixed by its name, so that it tells nothing else."""
    return int.from_bytes(hashlib.sha256(pop.encode()).digest()) % 60
