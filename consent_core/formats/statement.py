"""A statement: what one place says about one person. It carries no number and does not lengthen the place's chain.

    search     this place's trails, from head to head: how many records are of the person, how many personalised when
    deletion   what was here, part by part: counted, deleted, counted again
    text = sign_statement(Search(…), attester_key);   statement = open_statement(text, verify)

Wire format: `docs/formats/statement.md`. `after` names the place's newest attestation, so that a statement has its
position in the chain. A deletion counts exactly the parts of a named profile (`PROFILES`).
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from consent_core.formats.attestation import (
    DIGEST,
    HEAD,
    ISSUER,
    MAX_ATTESTATION_BYTES,
    WRITER,
    malformed,
    place_of,
    texts,
)
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import MAX_NUMBER, Fields
from consent_core.formats.jws import Verify, read_jws, sign_jws
from consent_core.formats.seen import Seen, read_seen

TYP = "consent-edge-statement+jwt"
KINDS = ("search", "deletion")
REASONS = ("revoked", "lease-ended", "unenrolled")  # why a device deleted

_PERSON = re.compile(r"[0-9a-f]{64}")
_REQUEST = re.compile(r"[A-Za-z0-9-]{0,64}")
_PART = re.compile(r"[a-z_]{1,32}(?:\.[A-Za-z0-9_.-]{1,136})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COMMON = ("iss", "iat", "seen", "request", "kind", "subject", "seq", "after")
_SEARCH = ("applied_at", "trails", "records", "of_person", "personalised_before_applied", "personalised_after")
_DELETION = ("parts", "deleted", "remaining", "ends", "at")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a place of one kind must have counted at 0.

    parts: one each. each: one per trail or process, as `trail.<writer>`. ends: what goes by itself, with its day.
    """

    parts: tuple[str, ...]
    each: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


PROFILES: Mapping[str, Profile] = {
    "pop/v1": Profile(
        ("history", "sessions", "outbox", "queue"), ("trail", "memory"), ("log_answers", "denials", "tombstone")
    ),
    "control-plane/v1": Profile(
        ("records", "receipts", "sessions", "withdrawals", "queue", "purge_receipts", "telemetry"),
        ("trail", "memory"),
        ("log",),
    ),
    "device/v1": Profile(("models", "history", "telemetry", "share")),
}


@dataclass(frozen=True, slots=True)
class After:
    """The newest attestation of a place: its life, its number and the digest of its text."""

    life: int
    n: int
    hash: str


@dataclass(frozen=True, slots=True)
class Search:
    """What a place's trails say of a person. `trails`: writer -> (head the search began after, last head searched).

    seq, applied_at: the entry, and when this place applied it (Unix seconds). records: how many were opened.
    """

    iss: str
    iat: int
    seen: Seen
    request: str
    subject: str
    seq: int
    after: After
    applied_at: int
    trails: Mapping[str, tuple[str, str]]
    records: int
    of_person: int
    personalised_before_applied: int
    personalised_after: int

    @property
    def place(self) -> str:
        """`edge/tokyo-1`."""
        return place_of(self.iss)


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a place deleted for the purge entry `seq`, and that nothing is left in the parts of profile `parts`.

    deleted, remaining: rows by part. ends: part -> the day on which it is gone by itself. reason: of a device alone.
    """

    iss: str
    iat: int
    seen: Seen
    request: str
    subject: str
    seq: int
    after: After | None
    parts: str
    deleted: Mapping[str, int]
    remaining: Mapping[str, int]
    ends: Mapping[str, str] = field(default_factory=dict)
    at: int = 0
    reason: str | None = None

    @property
    def place(self) -> str:
        """`edge/tokyo-1`."""
        return place_of(self.iss)


PersonStatement = Search | Deletion


def sign_statement(statement: PersonStatement, signer: Signer) -> str:
    """The JWS; `open_statement` gives the same value back."""
    return sign_jws(TYP, _value(statement), signer)


def open_statement(text: str, verify: Verify) -> PersonStatement:
    """Verify and read. Raises: Untrusted("attestation-malformed") and what `verify` raises."""
    jws = read_jws(text, TYP, MAX_ATTESTATION_BYTES, malformed)
    verify(jws.kid, jws.message, jws.signature)
    kind = jws.payload.get("kind")
    if kind not in KINDS:
        raise malformed(f"kind: expected one of {', '.join(KINDS)}")
    return _READ[kind](jws.payload)


def wrong_parts(statement: Deletion, writers: Collection[str], processes: Collection[str] | None = None) -> set[str]:
    """The parts that are missing or too many, for a place with these trails.

    processes: whose memory it must have cleared; None where only the maker knows their names: then at least one.
    """
    profile, counted = PROFILES[statement.parts], set(statement.remaining)
    wanted = {*profile.parts, *(f"trail.{writer}" for writer in writers if "trail" in profile.each)}
    memories = {part for part in counted if part.startswith("memory.")}
    if "memory" in profile.each:
        wanted |= {f"memory.{name}" for name in processes} if processes is not None else memories or {"memory"}
    return (wanted ^ counted) | (set(profile.ends) ^ set(statement.ends))


def _search(value: Mapping[str, Any]) -> Search:
    fields = Fields(value, malformed, (*_COMMON, *_SEARCH))
    numbers: dict[str, Any] = {name: fields.number(name) for name in _SEARCH if name != "trails"}
    return Search(
        **_common(fields),
        after=_after(fields.mapping("after")),
        trails={writer: _span(writer, span) for writer, span in fields.mapping("trails").items()},
        **numbers,
    )


def _deletion(value: Mapping[str, Any]) -> Deletion:
    fields = Fields(value, malformed, (*_COMMON, *_DELETION), ("reason",))
    return Deletion(
        **_common(fields),
        after=None if fields.absent("after") else _after(fields.mapping("after")),
        parts=fields.one_of("parts", PROFILES),
        deleted=_counts(fields.mapping("deleted")),
        remaining=_counts(fields.mapping("remaining")),
        ends=texts(fields.mapping("ends"), _PART, _DAY),
        at=fields.number("at"),
        reason=None if fields.absent("reason") else fields.one_of("reason", REASONS),
    )


_READ: Mapping[str, Callable[[Mapping[str, Any]], PersonStatement]] = {"search": _search, "deletion": _deletion}


def _common(fields: Fields) -> dict[str, Any]:
    return {
        "iss": fields.matching("iss", ISSUER),
        "iat": fields.number("iat"),
        "seen": read_seen(fields.text("seen"), malformed),
        "request": fields.matching("request", _REQUEST),
        "subject": fields.matching("subject", _PERSON),
        "seq": fields.number("seq"),
    }


def _after(value: object) -> After:
    fields = Fields(value, malformed, ("life", "n", "hash"))
    return After(fields.number("life"), fields.number("n"), fields.matching("hash", DIGEST))


def _span(writer: str, span: object) -> tuple[str, str]:
    heads = span if isinstance(span, list) and len(span) == 2 else ()
    if not WRITER.fullmatch(writer) or not heads or not all(isinstance(h, str) and HEAD.fullmatch(h) for h in heads):
        raise malformed("trails: expected two heads by writer")
    return heads[0], heads[1]


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    for part, rows in value.items():
        if not _PART.fullmatch(part) or type(rows) is not int or not 0 <= rows <= MAX_NUMBER:
            raise malformed("expected rows by part")
    return dict(value)


def _value(statement: PersonStatement) -> dict[str, Any]:
    after = statement.after
    common: dict[str, Any] = {
        **{name: getattr(statement, name) for name in ("iss", "iat", "request", "subject", "seq")},
        "seen": statement.seen.text,
        "after": after and {"life": after.life, "n": after.n, "hash": after.hash},
    }
    if isinstance(statement, Search):
        numbers = {name: getattr(statement, name) for name in _SEARCH if name != "trails"}
        trails = {writer: list(span) for writer, span in statement.trails.items()}
        return {**common, **numbers, "kind": "search", "trails": trails}
    rows = {name: dict(getattr(statement, name)) for name in ("deleted", "remaining", "ends")}
    value = {**common, **rows, "kind": "deletion", "parts": statement.parts, "at": statement.at}
    return value if statement.reason is None else {**value, "reason": statement.reason}
