"""By when a request must be answered, from data that a lawyer reads: `legal/deadlines.toml`.

    deadlines = Deadlines.load(directory)
    due = deadlines.due("EU", "deletion", received_at)      # Due(at, binding, source)
    deadlines.alarms(received_at, due.at, now)              # ("12 h", "24 h", "75 %")

A jurisdiction that no rule names is as unknown: `ZZ`. The clock starts at receipt, not after verification.
"""

import calendar
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from consent_core.formats.fields import UNKNOWN_JURISDICTION

FILE = "deadlines.toml"
BINDINGS = ("law", "guidance", "ours")
HOUR_S = 3_600
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """`count` of a unit, counted in a zone."""

    count: int
    unit: str
    zone: ZoneInfo
    binding: str
    source: str

    def end(self, received_at: int) -> int:
        """The last second, in Unix time: the same time of day in the rule's zone."""
        begin = datetime.fromtimestamp(received_at, UTC).astimezone(self.zone)
        return int(_UNITS[self.unit](begin, self.count).timestamp())


@dataclass(frozen=True, slots=True)
class Due:
    """When a request is due, what binds us to it, and where that is written."""

    at: int
    binding: str
    source: str


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Rules by jurisdiction and kind, and what this operator promises besides."""

    rules: Mapping[tuple[str, str], Rule]
    target_hours: int
    alarm_hours: tuple[int, ...]
    alarm_percent: int

    @classmethod
    def load(cls, directory: Path) -> "Deadlines":
        """The rules of a folder of law. Raises: ValueError for a file that cannot be followed."""
        value = tomllib.loads((directory / FILE).read_text(encoding="utf-8"))
        rules: dict[tuple[str, str], Rule] = {}
        for row in value["rule"]:
            for place in row["jurisdictions"]:
                for kind in row["kinds"]:
                    if rules.setdefault((place, kind), rule := _rule(row)) != rule:
                        raise ValueError(f"{FILE}: two rules for {kind} in {place}")
        ours = value["ours"]
        return cls(rules, ours["target_hours"], tuple(ours["alarm_hours"]), ours["alarm_percent"])

    def due(self, jurisdiction: str, kind: str, received_at: int) -> Due:
        """When a request of this kind is due. Raises: ValueError for a kind without any rule."""
        rule = self.rules.get((jurisdiction, kind)) or self.rules.get((UNKNOWN_JURISDICTION, kind))
        if rule is None:
            raise ValueError(f"{FILE}: no rule for {kind}")
        return Due(rule.end(received_at), rule.binding, rule.source)

    def target(self, confirmed_at: int) -> int:
        """When this operator wants to be done."""
        return confirmed_at + self.target_hours * HOUR_S

    def alarms(self, confirmed_at: int, received_at: int, due_at: int, now: int) -> tuple[str, ...]:
        """Which alarms ring: hours since the request could be worked on, the part of the time that is over."""
        hours = tuple(f"{hours} h" for hours in self.alarm_hours if now >= confirmed_at + hours * HOUR_S)
        late = (now - received_at) * 100 >= (due_at - received_at) * self.alarm_percent
        return (*hours, *((f"{self.alarm_percent} %",) if late else ()), *(("overdue",) if now > due_at else ()))


def _rule(row: Mapping[str, Any]) -> Rule:
    if row["binding"] not in BINDINGS or row["unit"] not in _UNITS or not row["source"] or row["count"] < 1:
        raise ValueError(f"{FILE}: a rule without a count, a known unit, binding or source")
    return Rule(row["count"], row["unit"], ZoneInfo(row["zone"]), row["binding"], row["source"])


def _months(begin: datetime, count: int) -> datetime:
    """The day of that number, or the month's last where there is none."""
    months = begin.year * 12 + begin.month - 1 + count
    year, month = months // 12, months % 12 + 1
    return begin.replace(year=year, month=month, day=min(begin.day, calendar.monthrange(year, month)[1]))


def _days(begin: datetime, count: int) -> datetime:
    return begin + timedelta(days=count)


def _business_days(begin: datetime, count: int) -> datetime:
    """Monday to Friday; the day of receipt does not count."""
    day = begin
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < SATURDAY
    return day


_UNITS = {"months": _months, "days": _days, "business-days": _business_days}
