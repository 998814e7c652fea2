"""The bodies that a page sends to `/v1/consent` and `/v1/events`, as checked values."""

import re
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected
from consent_core.formats.consent import AGE_BAND, ASKABLE, DIGEST, MAX_CLICK
from consent_core.formats.fields import Fields
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.routes.bundled import BUNDLED, BundledDecisions, read_bundled

NOTHING_ALONG = BundledDecisions()
MAX_CONSENT_BYTES = 131_072  # of a body to `/v1/consent`: what should come along must not keep a "no" out
MAX_BRACKETS = 4_096  # the same
MAX_EVENTS = 20  # in one request
MAX_TAGS = 8
KINDS = ("impression", "click", "purchase")

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9:._-]{0,62}[A-Za-z0-9])?")
_TAG = re.compile(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Yes:
    """A yes. `number`: of the click; `notice`: digest of the words that were shown before it."""

    grant: tuple[str, ...]
    age_band: str
    source: str = ASKABLE[0]
    number: int | None = None
    notice: str | None = None
    bundled: BundledDecisions = NOTHING_ALONG


@dataclass(frozen=True, slots=True)
class No:
    """What a person takes back. `categories`: None for all; `number`: of the click."""

    categories: tuple[str, ...] | None
    number: int | None = None
    bundled: BundledDecisions = NOTHING_ALONG


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a visitor did. `slot`: where it was shown, if it was shown in one."""

    kind: str
    item: str
    tags: tuple[str, ...]
    slot: str | None


def read_grant(body: dict[str, Any], age_band: str) -> Yes:
    """`age_band`: of a person who does not say. Raises: Rejected("bad-request")."""
    fields = Fields(body, _refuse, ("grant",), ("age_band", "source", "number", "notice", *BUNDLED))
    return Yes(
        grant=fields.categories("grant"),
        age_band=age_band if fields.absent("age_band") else fields.matching("age_band", AGE_BAND),
        source=ASKABLE[0] if fields.absent("source") else fields.one_of("source", ASKABLE),
        number=_click(body),
        notice=None if fields.absent("notice") else fields.matching("notice", DIGEST),
        bundled=read_bundled(body),
    )


def read_no(body: dict[str, Any]) -> No:
    """What besides `categories` cannot be read is left out: it must not keep a "no" from being heard.

    Raises: Rejected("bad-request").
    """
    named = body.get("categories")
    if named is None:
        return No(None, _click(body), read_bundled(body))
    if not isinstance(named, list) or not any(name in CATEGORIES for name in named if isinstance(name, str)):
        raise _refuse("categories: expected a list of categories; leave it out to withdraw all")
    categories = tuple(name for name in CATEGORIES if name in named)
    return No(None if categories == CATEGORIES else categories, _click(body), read_bundled(body))


def _click(body: dict[str, Any]) -> int | None:
    """The number of a click. What is none, the change counts as said on arrival."""
    number = body.get("number")
    return number if type(number) is int and 0 < number < MAX_CLICK else None


def read_events(body: dict[str, Any]) -> tuple[Event, ...]:
    """One event, or several under `events`. Raises: Rejected("bad-request")."""
    if "events" not in body:
        return (_event(body),)
    events = Fields(body, _refuse, ("events",)).items("events", MAX_EVENTS)
    return tuple(_event(event) for event in events)


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


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)
