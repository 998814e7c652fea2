"""The portal's page: each request with its age, what is due and by what, steps × parties, alarms, what can be done.

html = page(requests, Seen(now, "spiffe://…/operator/ann", problem=""))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

ACTIVE = ("open", "in_progress", "waiting")
BINDINGS = {"law": "by law", "guidance": "by guidance", "ours": "our promise"}
STATES = {
    "open": "received", "in_progress": "under way", "waiting": "waits", "fulfilled": "done", "denied": "denied",
    "revoked": "taken back",
}  # fmt: skip
HOUR_S, DAY_S = 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Seen:
    """When, by whom, and what the last form was refused for."""

    now: int
    operator: str
    problem: str = ""


def page(requests: Sequence[Mapping[str, Any]], seen: Seen) -> str:
    """The whole page: what rings first, then by what is due, then what is closed."""
    ordered = sorted(requests, key=lambda one: (one["state"] not in ACTIVE, not one["alarms"], one["due_at"]))
    rows = [_row(one, seen.now) for one in ordered]
    return _template().render(rows=rows, counts=_counts(rows), seen=seen)


def _row(one: Mapping[str, Any], now: int) -> dict[str, Any]:
    active = one["state"] in ACTIVE
    ended = now if active else one["closed_at"] or now
    part = (now - one["received_at"]) / max(1, one["due_at"] - one["received_at"])
    return {
        **one,
        "is_active": active,
        "is_waiting": one["state"] == "waiting",
        "said": "held" if one["held_by"] and active else STATES[one["state"]],
        "age": span(ended - one["received_at"]),
        "left": span(abs(one["due_at"] - now)),
        "is_late": now > one["due_at"],
        "part": min(100, round(100 * part)),
        "bound": BINDINGS[one["binding"]],
        "grid": grid(one["steps"]),
    }


def grid(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Steps in their order, the parties of each, and the state where a party does a step."""
    names = tuple(dict.fromkeys(row["step"] for row in steps))
    parties = tuple(dict.fromkeys(row["party"] for row in steps))
    cells = {(row["step"], row["party"]): row["state"] for row in steps}
    lines = [(_party(party), [cells.get((name, party), "") for name in names]) for party in parties]
    done = sum(row["state"] == "done" for row in steps)
    return {"names": names, "lines": lines, "done": done, "all": len(steps)}


def span(seconds: int) -> str:
    """A time that a person grasps: 3 days, 30 h, 12 min."""
    if seconds >= 2 * DAY_S:
        return f"{seconds // DAY_S} days"
    if seconds >= HOUR_S:
        return f"{seconds // HOUR_S} h"
    return f"{seconds // 60} min" if seconds >= 60 else "under a minute"


def alarm(text: str) -> str:
    """What rings, as a sentence."""
    number, _, unit = text.partition(" ")
    if unit == "h" and number.isdecimal():
        return f"open for more than {text}"
    return f"{text} of the time is over" if unit == "%" else text


def _party(party: str) -> str:
    return {"request": "the request itself", "none": "no party"}.get(party, party)


def _counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    active = [row for row in rows if row["is_active"]]
    ringing = sum(bool(row["alarms"]) for row in active)
    return {"open": len(active), "alarms": ringing, "held": sum(bool(row["held_by"]) for row in active)}


@cache
def _template() -> Template:
    loader = PackageLoader("edge_cli.portal")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["alarm"] = alarm
    environment.filters["when"] = lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    return environment.get_template("portal.html.j2")
