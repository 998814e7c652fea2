"""The consent API between POP and control plane: request and answer bodies, as values and as JSON.

    body = write_request(ConsentRequest(session=None, next_session=…, grant=("contextual",), number=7, …))
    answer = read_answer(response.content)

Wire format: `docs/formats/consent-record.md`; withdrawals are `withdrawals.py`. A caller *presents* a credential
(`session.py`) and names the next one by its hash: the control plane never sees a secret that a browser still uses.
Bodies read from a caller raise `Rejected("bad-request")`; answers read by a POP raise `Untrusted("consent-answer")`.
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
from consent_core.formats.session import CREDENTIAL

MAX_BODY_BYTES = 65_536
MAX_PROOF = 16_384  # characters
MAX_CLICK = 2**40  # a click's number is below it
BELIEVED = 256  # how far above the record a number may be and still be an honest browser's unanswered clicks

# How a record's newest version came about. A POP may ask for the first two.
SOURCES = ("grant", "notice", "withdrawal", "gpc", "restore")
ASKABLE = SOURCES[:2]

# Seconds a POP keeps what it learned under a category; 0 is "this visit only". DESIGN section 4.
RETENTION_S: Mapping[str, int] = {"contextual": 0, "behavioral": 7 * 86_400, "experimental": 14 * 86_400}

SESSION = re.compile(r"[0-9a-f]{64}")  # a credential's hash, as stores hold it
SUBJECT = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
AGE_BAND = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
CLAUSE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
LEGACY = re.compile(r"[\x21-\xff]{1,4096}")  # any value of a cookie that is not of today's form
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_REQUEST = ("session", "next_session", "next_withdraw", "key", "grant", "jurisdiction", "gpc", "age_band", "pop")
_REQUEST_OPTIONAL = ("number", "refused", "source", "clause_id", "notice_digest", "language", "legacy")
_REFRESH = ("session", "jurisdiction", "gpc", "pop")
_REFRESH_OPTIONAL = ("refused", "legacy")
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
    "numbers",
    "retention",
)


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """`POST /v1/consents`: what a person adds, or (`source` notice) was told without choosing.

    session: the grant credential of the current session, or None. next_session, next_withdraw: hashes of the next
    session's credentials. key: the same for every copy of this click. number: of the click, None where there is none.
    refused: what this browser's `consent-no` holds against tokens. notice_digest, language: the text that was shown.
    legacy: the current secret itself, if version 0.1.0 wrote it.
    """

    session: str | None
    next_session: str
    next_withdraw: str
    key: str
    grant: tuple[str, ...]
    jurisdiction: str
    gpc: bool
    age_band: str
    pop: str
    number: int | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    source: str = "grant"
    clause_id: str | None = None
    notice_digest: str | None = None
    language: str | None = None
    legacy: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """`POST /v1/consents/{sub}/refresh`: a new token for an unchanged record. Members as in `ConsentRequest`."""

    session: str
    jurisdiction: str
    gpc: bool
    pop: str
    refused: Mapping[str, int] = field(default_factory=dict)
    legacy: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """The state of one visitor's consent after the call.

    token, expires_at: None where nothing is effective; the POP then clears the token cookie.
    reasons: why each category is effective or not. revoked: the newest version took something back.
    receipt: JWS, see `receipt.py`, of this version. numbers: what decided each category last; absent: never decided.
    retention: seconds per category, and `consent` for the record and its cookie. proof: of a grant, for the POP to keep
    (`grant_proof.py`).
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
    numbers: Mapping[str, int] = field(default_factory=dict)
    proof: str | None = None


def write_request(request: ConsentRequest | RefreshRequest) -> bytes:
    """The JSON of a request; optional members that are None or empty are left out."""
    optional = {*_REQUEST_OPTIONAL, *_REFRESH_OPTIONAL}
    return _json({name: item for name, item in _members(request) if name not in optional or item not in (None, {})})


def write_answer(answer: ConsentAnswer) -> bytes:
    """The JSON of an answer; `read_answer` gives the same value back."""
    return _json({name: item for name, item in _members(answer) if name != "proof" or item is not None})


def read_consent_request(data: bytes) -> ConsentRequest:
    """Raises: Rejected("bad-request")."""
    fields = _body(data, _REQUEST, _REQUEST_OPTIONAL)
    return ConsentRequest(
        session=fields.optional_matching("session", CREDENTIAL),
        next_session=fields.matching("next_session", SESSION),
        next_withdraw=fields.matching("next_withdraw", SESSION),
        key=fields.matching("key", IDEMPOTENCY_KEY),
        grant=fields.categories("grant"),
        jurisdiction=fields.matching("jurisdiction", JURISDICTION),
        gpc=fields.flag("gpc"),
        age_band=fields.matching("age_band", AGE_BAND),
        pop=fields.matching("pop", REGION),
        number=fields.optional_number("number"),
        refused=_refused(fields),
        source="grant" if fields.absent("source") else fields.one_of("source", ASKABLE),
        clause_id=fields.optional_matching("clause_id", CLAUSE_ID),
        notice_digest=fields.optional_matching("notice_digest", DIGEST),
        language=fields.optional_matching("language", LANGUAGE),
        legacy=fields.optional_matching("legacy", LEGACY),
    )


def read_refresh_request(data: bytes) -> RefreshRequest:
    """Raises: Rejected("bad-request")."""
    fields = _body(data, _REFRESH, _REFRESH_OPTIONAL)
    return RefreshRequest(
        session=fields.matching("session", CREDENTIAL),
        jurisdiction=fields.matching("jurisdiction", JURISDICTION),
        gpc=fields.flag("gpc"),
        pop=fields.matching("pop", REGION),
        refused=_refused(fields),
        legacy=fields.optional_matching("legacy", LEGACY),
    )


def read_answer(data: bytes) -> ConsentAnswer:
    """Raises: Untrusted("consent-answer" | "json-malformed")."""
    fields = Fields(read_json_object(data, MAX_BODY_BYTES), _unreadable, _ANSWER, ("proof",))
    retention = fields.mapping("retention")
    if not all(type(seconds) is int and seconds >= 0 for seconds in retention.values()):
        raise _unreadable("retention: expected seconds per category")
    return ConsentAnswer(
        sub=fields.matching("sub", SUBJECT),
        ver=fields.number("ver"),
        token=None if fields.absent("token") else fields.text("token"),
        expires_at=fields.optional_number("expires_at"),
        choices=fields.categories("choices"),
        categories=fields.categories("categories"),
        reasons=fields.texts_by_category("reasons"),
        source=fields.one_of("source", SOURCES),
        revoked=fields.flag("revoked"),
        gpc_honoured=fields.flag("gpc_honoured"),
        receipt=fields.text("receipt", 2 * MAX_TEXT),
        retention=retention,
        numbers=fields.numbers_by_category("numbers"),
        proof=None if fields.absent("proof") else fields.text("proof", MAX_PROOF),
    )


def _json(value: Mapping[str, Any]) -> bytes:
    """JSON that is not signed: compact, in one order."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def bad_request(message: str) -> Rejected:
    """The refusal of a body that is not of the agreed form."""
    return Rejected("bad-request", message)


def _unreadable(message: str) -> Untrusted:
    """The refusal of an answer that is not of the agreed form."""
    return Untrusted("consent-answer", message)


def _members(value: ConsentRequest | RefreshRequest | ConsentAnswer) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))


def _refused(fields: Fields) -> dict[str, int]:
    return {} if fields.absent("refused") else fields.numbers_by_category("refused")


def _body(data: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Fields:
    try:
        value = read_json_object(data, MAX_BODY_BYTES)
    except Untrusted as error:
        raise Rejected("bad-request", error.message) from error
    return Fields(value, bad_request, required, optional)
