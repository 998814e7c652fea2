"""UTC days, in which histories are counted and entropy changes, and months, by which visitor keys go."""

from datetime import UTC, datetime


def day_of(at: int) -> str:
    """The UTC date of a Unix time, as YYYY-MM-DD."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def month_of(at: int) -> str:
    """The UTC month of a Unix time, as YYYY-MM."""
    return day_of(at)[:7]
