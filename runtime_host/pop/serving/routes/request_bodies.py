"""The bodies that a page sends to `/v1/consent`, `/v1/events` and `/v1/vitals`, as checked values."""

import re
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected
from consent_core.formats.consent import AGE_BAND, ASKABLE, CLAUSE_ID
from consent_core.formats.fields import Fields
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.routes.bundled import BUNDLED, BundledDecisions, read_bundled

MAX_EVENTS = 20  # in one request
MAX_TAGS = 8
KINDS = ("impression", "click", "purchase")
# What a page may report -> the metric it feeds and the largest believable value (seconds; layout shift has no unit).
VITALS = {
    "LCP": ("consent_edge_lcp_seconds", 120.0),
    "INP": ("consent_edge_inp_seconds", 120.0),
    "FCP": ("consent_edge_fcp_seconds", 120.0),
    "TTFB": ("consent_edge_ttfb_seconds", 120.0),
    "CLS": ("consent_edge_cls_ratio", 100.0),
    "swap-to-paint": ("consent_edge_swap_to_paint_seconds", 120.0),
}

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9:._-]{0,62}[A-Za-z0-9])?")
_TAG = re.compile(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person chose."""

    choices: tuple[str, ...]
    age_band: str
    source: str
    clause_id: str | None
    expected_ver: int | None
    bundled: BundledDecisions


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a person takes back. `categories`: None for all."""

    categories: tuple[str, ...] | None
    bundled: BundledDecisions


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a visitor did. `slot`: where it was shown, if it was shown in one."""

    kind: str
    item: str
    tags: tuple[str, ...]
    slot: str | None


@dataclass(frozen=True, slots=True)
class Vital:
    """One measurement of a page. `state`: the consent state the page showed."""

    metric: str
    value: float
    slot: str
    state: str


def read_grant(body: dict[str, Any], age_band: str) -> Grant:
    """`age_band`: of whoever does not say. Raises: Rejected("bad-request")."""
    optional = ("age_band", "source", "clause_id", "expected_ver", *BUNDLED)
    fields = Fields(body, _refuse, ("choices",), optional)
    return Grant(
        choices=fields.categories("choices"),
        age_band=age_band if fields.absent("age_band") else fields.matching("age_band", AGE_BAND),
        source=ASKABLE[0] if fields.absent("source") else fields.one_of("source", ASKABLE),
        clause_id=None if fields.absent("clause_id") else fields.matching("clause_id", CLAUSE_ID),
        expected_ver=None if fields.absent("expected_ver") else fields.number("expected_ver"),
        bundled=read_bundled(fields),
    )


def read_refusal(body: dict[str, Any]) -> Refusal:
    """Raises: Rejected("bad-request")."""
    fields = Fields(body, _refuse, (), ("categories", *BUNDLED))
    bundled = read_bundled(fields)
    if fields.absent("categories"):
        return Refusal(None, bundled)
    categories = fields.categories("categories")
    if not categories:
        raise _refuse("categories: nothing to withdraw; leave it out to withdraw all")
    return Refusal(None if categories == CATEGORIES else categories, bundled)


def read_events(body: dict[str, Any]) -> tuple[Event, ...]:
    """One event, or several under `events`. Raises: Rejected("bad-request")."""
    if "events" not in body:
        return (_event(body),)
    events = Fields(body, _refuse, ("events",)).items("events", MAX_EVENTS)
    return tuple(_event(event) for event in events)


def read_vitals(body: dict[str, Any], slots: frozenset[str]) -> tuple[Vital, ...]:
    """One measurement, or several under `vitals`. Labels are from closed lists. Raises: Rejected("bad-request")."""
    if "vitals" not in body:
        return (_vital(body, slots),)
    vitals = Fields(body, _refuse, ("vitals",)).items("vitals", MAX_EVENTS)
    return tuple(_vital(vital, slots) for vital in vitals)


def _event(value: object) -> Event:
    fields = Fields(value, _refuse, ("kind", "item"), ("tags", "slot"))
    tags = [] if fields.absent("tags") else fields.items("tags", MAX_TAGS)
    if not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in tags):
        raise _refuse("tags: expected lower-case words")
    return Event(
        kind=fields.one_of("kind", KINDS),
        item=fields.matching("item", _WORD),
        tags=tuple(sorted(set(tags))),
        slot=None if fields.absent("slot") else fields.matching("slot", _TAG),
    )


def _vital(value: object, slots: frozenset[str]) -> Vital:
    fields = Fields(value, _refuse, ("name", "value"), ("slot", "state"))
    metric, most = VITALS[fields.one_of("name", VITALS)]
    return Vital(
        metric=metric,
        value=_measured(value, most),
        slot="page" if fields.absent("slot") else fields.one_of("slot", slots),
        state="default" if fields.absent("state") else fields.one_of("state", ("default", *CATEGORIES)),
    )


def _measured(value: object, most: float) -> float:
    number = value["value"] if isinstance(value, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= most:
        raise _refuse(f"value: expected a number from 0 to {most:g}")
    return float(number)


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)
