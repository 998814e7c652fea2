"""The consent API between POP and control plane: request and answer bodies, as values and as JSON.

    body = write_request(ConsentRequest(session=None, next_session=digest, choices=("contextual",), ...))
    answer = read_answer(response.content)

Wire format: `docs/formats/consent-record.md`. A session is always the SHA-256 of the cookie's secret, 64 hex digits:
the control plane never sees the secret. Bodies read from a caller raise `Rejected("bad-request")`; answers read by a
POP raise `Untrusted("consent-answer")`.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.fields import JURISDICTION as JURISDICTION
from consent_core.formats.fields import MAX_TEXT, Fields

MAX_BODY_BYTES = 65_536

# How a record's newest version came about. A POP may ask for the first two.
SOURCES = ("grant", "notice", "withdrawal", "gpc")
ASKABLE = SOURCES[:2]

# Seconds a POP keeps what it learned under a category; 0 is "this visit only". DESIGN section 4.
RETENTION_S: Mapping[str, int] = {"contextual": 0, "behavioral": 7 * 86_400, "experimental": 14 * 86_400}

SESSION = re.compile(r"[0-9a-f]{64}")
SUBJECT = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
AGE_BAND = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
CLAUSE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")

_REQUEST = ("session", "next_session", "choices", "jurisdiction", "gpc", "age_band", "pop")
_REQUEST_OPTIONAL = ("source", "clause_id", "expected_ver")
_REFRESH = ("session", "jurisdiction", "gpc", "pop")
_WITHDRAWAL = ("session", "idempotency_key", "pop")
_ANSWER = (
    "sub",
    "ver",
    "token",
    "expires_at",
    "choices",
    "categories",
    "reasons",
    "source",
    "revoked",
    "gpc_honoured",
    "receipt",
    "retention",
)


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """`POST /v1/consents`: what a person chose, or (`source` notice) was told without choosing.

    session: the current session's hash, or None. next_session: the hash of the new secret the POP made.
    expected_ver: the version the person was looking at; another one is refused.
    """

    session: str | None
    next_session: str
    choices: tuple[str, ...]
    jurisdiction: str
    gpc: bool
    age_band: str
    pop: str
    source: str = "grant"
    clause_id: str | None = None
    expected_ver: int | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """`POST /v1/consents/{sub}/refresh`: a new token for an unchanged record."""

    session: str
    jurisdiction: str
    gpc: bool
    pop: str


@dataclass(frozen=True, slots=True)
class WithdrawalRequest:
    """`DELETE /v1/consents/{sub}`: take `categories` back, all of them if None. Sent twice, it counts once."""

    session: str
    idempotency_key: str
    pop: str
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """The state of one visitor's consent after the call.

    token, expires_at: None where nothing is effective; the POP then clears the token cookie.
    reasons: why each category is effective or not. revoked: the newest version took something back.
    receipt: JWS, see `receipt.py`. retention: seconds per category, and `consent` for the record and its cookie.
    """

    sub: str
    ver: int
    token: str | None
    expires_at: int | None
    choices: tuple[str, ...]
    categories: tuple[str, ...]
    reasons: Mapping[str, str]
    source: str
    revoked: bool
    gpc_honoured: bool
    receipt: str
    retention: Mapping[str, int] = field(default_factory=dict)


def write_request(request: ConsentRequest | RefreshRequest | WithdrawalRequest) -> bytes:
    """The JSON of a request; optional members that are None are left out."""
    optional = {*_REQUEST_OPTIONAL, "categories"}
    return _json({name: item for name, item in _members(request) if item is not None or name not in optional})


def write_answer(answer: ConsentAnswer) -> bytes:
    """The JSON of an answer; `read_answer` gives the same value back."""
    return _json(dict(_members(answer)))


def read_consent_request(data: bytes) -> ConsentRequest:
    """Raises: Rejected("bad-request")."""
    fields = _body(data, _REQUEST, _REQUEST_OPTIONAL)
    return ConsentRequest(
        session=None if fields.absent("session") else fields.matching("session", SESSION),
        next_session=fields.matching("next_session", SESSION),
        choices=fields.categories("choices"),
        jurisdiction=fields.matching("jurisdiction", JURISDICTION),
        gpc=fields.flag("gpc"),
        age_band=fields.matching("age_band", AGE_BAND),
        pop=fields.matching("pop", REGION),
        source="grant" if fields.absent("source") else fields.one_of("source", ASKABLE),
        clause_id=None if fields.absent("clause_id") else fields.matching("clause_id", CLAUSE_ID),
        expected_ver=None if fields.absent("expected_ver") else fields.number("expected_ver"),
    )


def read_refresh_request(data: bytes) -> RefreshRequest:
    """Raises: Rejected("bad-request")."""
    fields = _body(data, _REFRESH)
    return RefreshRequest(
        session=fields.matching("session", SESSION),
        jurisdiction=fields.matching("jurisdiction", JURISDICTION),
        gpc=fields.flag("gpc"),
        pop=fields.matching("pop", REGION),
    )


def read_withdrawal_request(data: bytes) -> WithdrawalRequest:
    """Raises: Rejected("bad-request")."""
    fields = _body(data, _WITHDRAWAL, ("categories",))
    return WithdrawalRequest(
        session=fields.matching("session", SESSION),
        idempotency_key=fields.matching("idempotency_key", IDEMPOTENCY_KEY),
        pop=fields.matching("pop", REGION),
        categories=None if fields.absent("categories") else _some(fields.categories("categories")),
    )


def read_answer(data: bytes) -> ConsentAnswer:
    """Raises: Untrusted("consent-answer" | "json-malformed")."""
    fields = Fields(read_json_object(data, MAX_BODY_BYTES), _unreadable, required=_ANSWER)
    retention = fields.mapping("retention")
    if not all(type(seconds) is int and seconds >= 0 for seconds in retention.values()):
        raise _unreadable("retention: expected seconds per category")
    return ConsentAnswer(
        sub=fields.matching("sub", SUBJECT),
        ver=fields.number("ver"),
        token=None if fields.absent("token") else fields.text("token"),
        expires_at=None if fields.absent("expires_at") else fields.number("expires_at"),
        choices=fields.categories("choices"),
        categories=fields.categories("categories"),
        reasons=fields.texts_by_category("reasons"),
        source=fields.one_of("source", SOURCES),
        revoked=fields.flag("revoked"),
        gpc_honoured=fields.flag("gpc_honoured"),
        receipt=fields.text("receipt", 2 * MAX_TEXT),
        retention=retention,
    )


def _members(value: ConsentRequest | RefreshRequest | WithdrawalRequest | ConsentAnswer) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))


def _json(value: Mapping[str, Any]) -> bytes:
    """JSON that nobody signs: compact, in one order."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _body(data: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Fields:
    try:
        value = read_json_object(data, MAX_BODY_BYTES)
    except Untrusted as error:
        raise Rejected("bad-request", error.message) from error
    return Fields(value, bad_request, required, optional)


def _some(categories: tuple[str, ...]) -> tuple[str, ...]:
    if not categories:
        raise bad_request("categories: nothing to withdraw; leave it out to withdraw all")
    return categories


def bad_request(message: str) -> Rejected:
    """The refusal of a body that is not of the agreed form."""
    return Rejected("bad-request", message)


def _unreadable(message: str) -> Untrusted:
    return Untrusted("consent-answer", message)
