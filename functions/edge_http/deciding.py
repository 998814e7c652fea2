"""From one request to its slot answer, by the same rules as a POP's pipeline: token, policy, signals, decision.

An edge has no stores: a visitor's history is empty here, as on a POP where nothing happened yet.
"""

from typing import NamedTuple

from knowledge import Knowledge, learn, now
from settings import Settings
from twins import decide, validate

from consent_core.decision.contract import (
    Candidate,
    Decision,
    PageContext,
    Signals,
)
from consent_core.decision.credentials import presented_token
from consent_core.decision.grant import Grant, grant_of, jurisdiction_of, without_refused
from consent_core.decision.request import Headers, honours_gpc
from consent_core.decision.signals import (
    arm_of,
    choose_signals,
    entropy_of,
    page_context,
)
from consent_core.decision.slot_json import REFRESH, SLOT_HEADERS, slot_body
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats import token
from consent_core.formats.catalogue import Slot
from consent_core.formats.subject import subject_of
from consent_core.http.answers import Answer, Header

LEEWAY_S = 5
DEFAULT = "default"


class Outcome(NamedTuple):
    """What a request comes to. No decision is the default; `code` says why, or what else is the case."""

    category: str
    decision: Decision | None
    code: str | None
    refresh: bool


def answer_slot(settings: Settings, slot: str, query: bytes, headers: Headers) -> Answer:
    """`GET /v1/slots/{slot}`.

    Raises: Rejected("unknown-slot", 404), ("credential-conflict").
    """
    place, page = settings.site.slot(slot), page_context(query)
    outcome = _decide(settings, place, page, headers)
    body = slot_body(settings.site, settings.rendition_key, slot, outcome.category, outcome.decision)
    own: list[Header] = [(b"content-length", str(len(body)).encode("ascii"))]
    if outcome.code is not None:
        own.append((b"consent-edge-code", outcome.code.encode("ascii")))
    if outcome.decision is not None and outcome.refresh:
        own.append(REFRESH)
    return Answer(200, (*SLOT_HEADERS, *own), body)


def _decide(settings: Settings, place: Slot, page: PageContext, headers: Headers) -> Outcome:
    """The decision; whatever keeps a visitor from one ends in the default."""
    try:
        text = presented_token(headers, settings.cookie)
        if text is None:
            return Outcome(DEFAULT, None, "no-token", False)
        return _decide_by_token(settings, place, page, headers, text)
    except ConsentEdgeError as error:
        if error.code == "credential-conflict":
            raise
        return Outcome(DEFAULT, None, error.code, False)


def _decide_by_token(settings: Settings, place: Slot, page: PageContext, headers: Headers, text: bytes) -> Outcome:
    try:
        known = learn(settings)
    except ConsentEdgeError:
        return Outcome(DEFAULT, None, "not-in-sync", False)
    expected = token.Expectation(settings.trust.issuer, token.AUDIENCE, now(), LEEWAY_S)
    claims = validate(_as_text(text), known.state.keys, expected)
    grant = _grant(settings, headers, claims, known)
    category = next((name for name in (place.category, *place.fallback) if name in grant.categories), None)
    if category is None:
        return Outcome(DEFAULT, None, grant.code or "not-effective", False)
    signals = _signals(place, category, grant, page, claims.sub)
    entropy = entropy_of(settings.pop_key, claims.sub, place.name, expected.now)
    return Outcome(
        category, decide(place.name, signals, _candidates(settings, place), entropy), grant.code, grant.refresh
    )


def _grant(settings: Settings, headers: Headers, claims: token.Claims, known: Knowledge) -> Grant:
    jurisdiction = jurisdiction_of(headers, settings.geo_header, settings.jurisdiction)
    grant = grant_of(claims, subject_of(claims.sub), jurisdiction, honours_gpc(headers), known)
    return without_refused(grant, headers.get(b"cookie"))


def _signals(place: Slot, category: str, grant: Grant, page: PageContext, sub: str) -> Signals:
    arm = arm_of(place.experiment, sub) if category == "experimental" and place.experiment is not None else None
    return choose_signals(category, grant.categories, page, () if category == "behavioral" else None, arm)


def _candidates(settings: Settings, place: Slot) -> list[Candidate]:
    return [Candidate(a.id, a.tags, a.copies) for a in settings.site.candidates(place.name)]


def _as_text(received: bytes) -> str:
    try:
        return received.decode("ascii")
    except UnicodeDecodeError as error:
        raise Rejected("token-base64", "not ASCII", status=401) from error
