"""The revocation log on the wire: entries, the signed answer to a poll, the signed snapshot for who comes too late.

    answer = open_answer(body, trust, nonce="b64url the POP chose", after=41)
    for entry in answer.entries: ...            # 42, 43, … without a gap
    in sync as far as answer.entries reach answer.head

Wire format: `docs/formats/revocation-log.md`. Answers are signed by role `log` over the canonical JSON of everything
but `signature`. Whether a head may be believed *now* (age, rewind, another origin) is judged by who polls, not here.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.subject import subject_of as subject_of
from consent_core.formats.token import decode_base64url, encode_base64url

KINDS = ("session", "key", "policy", "model", "purge")
# What whoever applies an entry has to do; one word per kind, fixed so that an old POP never guesses.
EFFECTS = {"session": "stop", "key": "distrust", "policy": "activate", "model": "withdraw", "purge": "erase"}
MAX_ENTRIES = 1000  # in one answer; a longer log takes several polls
MAX_SURVIVORS = 1_000_000  # in one snapshot
MAX_ANSWER_BYTES = 1_048_576
MAX_SNAPSHOT_BYTES = 268_435_456
EVERY_VERSION = 2**53 - 1  # the `ver` that every token is below

_PERSON = re.compile(r"[0-9a-f]{64}")
_SUBJECT = re.compile(r"[A-Za-z0-9:._/-]{1,256}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ORIGIN = re.compile(r"[A-Za-z0-9_-]{22}")
_ENTRY = ("seq", "kind", "subject", "categories", "ver", "at", "effect")
_ANSWER = ("entries", "head", "origin", "nonce", "at", "kid", "signature")
_SNAPSHOT = (*_ANSWER, "through")


class Signer(Protocol):
    """A private key of role `log`."""

    @property
    def kid(self) -> str:
        """The key's name in the trust file."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes of signature."""
        ...


class Trust(Protocol):
    """The trust file, as far as this format needs it."""

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if that key of that role, valid at `now` and not `revoked`, signed the message. Raises: Untrusted."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    kind session, purge: `subject` is `subject_of(sub)`; tokens of that visitor below `ver` lose `categories`.
    kind key, policy, model: `subject` is the key id (or a SPIFFE id, or a certificate's `serial:<hex>`), policy hash or
    model id; no categories, `ver` 0.
    """

    seq: int
    kind: str
    subject: str
    categories: tuple[str, ...]
    ver: int
    at: int
    effect: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The entries after the asked number, in order and without a gap, and the log's head at time `at`."""

    entries: tuple[Entry, ...]
    head: int
    origin: str
    nonce: str
    at: int
    kid: str
    signature: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is still in force of entries 1 to `through`, for who asked for pruned ones. Poll on from `through`."""

    entries: tuple[Entry, ...]
    through: int
    head: int
    origin: str
    nonce: str
    at: int
    kid: str
    signature: str


def sign_answer(entries: Sequence[Entry], head: int, origin: str, nonce: str, at: int, signer: Signer) -> bytes:
    """The bytes of an answer. `open_answer` of them gives the same values back."""
    body = {"entries": [entry_value(entry) for entry in entries], "head": head, "origin": origin}
    return _signed({**body, "nonce": nonce, "at": at, "kid": signer.kid}, signer)


def sign_snapshot(
    entries: Sequence[Entry], through: int, head: int, origin: str, nonce: str, at: int, signer: Signer
) -> bytes:
    """The bytes of a snapshot. `open_snapshot` of them gives the same values back."""
    body = {"entries": [entry_value(entry) for entry in entries], "through": through, "head": head, "origin": origin}
    return _signed({**body, "nonce": nonce, "at": at, "kid": signer.kid}, signer)


def open_answer(
    data: bytes, trust: Trust, nonce: str, now: int, revoked: frozenset[str], *, after: int | None = None
) -> Answer:
    """Verify an answer to the poll that carried `nonce`.

    Args:   after: the number asked for, when the caller wants the first entry held against it.
            now: the caller's clock, Unix seconds. The key must be valid then, or when it says that it signed if that
            is later: a clock that is behind refuses no new key.
            revoked: the keys that the log is known to have taken away.
    Raises: Untrusted("log-malformed" | "log-nonce" | "log-gap" | "json-malformed" | "trust-…").
    """
    fields, value = _verified(data, MAX_ANSWER_BYTES, _ANSWER, trust, nonce, (now, revoked))
    entries = tuple(read_entry(item) for item in fields.items("entries", MAX_ENTRIES))
    answer = Answer(entries, fields.number("head"), *_trailer(fields), value["signature"])
    _require_gapless(answer, after)
    return answer


def open_snapshot(data: bytes, trust: Trust, nonce: str, now: int, revoked: frozenset[str]) -> Snapshot:
    """Verify a snapshot that answers the poll with `nonce`. Raises: as `open_answer`."""
    fields, value = _verified(data, MAX_SNAPSHOT_BYTES, _SNAPSHOT, trust, nonce, (now, revoked))
    entries = tuple(read_entry(item) for item in fields.items("entries", MAX_SURVIVORS))
    through, head = fields.number("through"), fields.number("head")
    numbers = [0, *(entry.seq for entry in entries), through + 1]
    if through > head or any(low >= high for low, high in pairwise(numbers)):
        raise Untrusted("log-gap", "the snapshot's entries are not in order")
    return Snapshot(entries, through, head, *_trailer(fields), value["signature"])


def entry_value(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON value."""
    return {
        "seq": entry.seq,
        "kind": entry.kind,
        "subject": entry.subject,
        "categories": list(entry.categories),
        "ver": entry.ver,
        "at": entry.at,
        "effect": entry.effect,
    }


def read_entry(value: object) -> Entry:
    """An entry from its JSON value. Raises: Untrusted("log-malformed")."""
    fields = Fields(value, _malformed, required=_ENTRY)
    kind = fields.one_of("kind", KINDS)
    person = kind in ("session", "purge")
    entry = Entry(
        seq=fields.number("seq"),
        kind=kind,
        subject=fields.matching("subject", _PERSON if person else _SUBJECT),
        categories=fields.categories("categories"),
        ver=fields.number("ver"),
        at=fields.number("at"),
        effect=fields.one_of("effect", (EFFECTS[kind],)),
    )
    if entry.seq == 0 or bool(entry.categories) != person or bool(entry.ver) != person:
        raise _malformed(f"a {kind} entry does not look like this")
    return entry


def hint(head: int) -> bytes:
    """One event of `/v1/revocations/stream`: the head has reached this number, come and poll."""
    return b"event: head\ndata: " + json.dumps({"head": head}).encode("ascii") + b"\n\n"


def _signed(body: dict[str, Any], signer: Signer) -> bytes:
    signature = encode_base64url(signer.sign(_canonical(body)))
    return _canonical({**body, "signature": signature})


def _canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 for what this format holds (ASCII names, texts, whole numbers), thirty times as fast as for all JSON.

    A value that holds anything else has another spelling here, which nobody signed: it is refused, not misread.
    Raises: UnicodeEncodeError for half a surrogate pair.
    """
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode("utf-8")


def _verified(
    data: bytes, limit: int, members: tuple[str, ...], trust: Trust, nonce: str, standing: tuple[int, frozenset[str]]
) -> tuple[Fields, dict[str, Any]]:
    """Signature first: nothing is read out of a value that the log's key did not sign."""
    value = read_json_object(data, limit)
    fields = Fields(value, _malformed, required=members)
    try:
        signature = decode_base64url(fields.text("signature"))
    except Rejected as error:
        raise Untrusted("log-malformed", "the signature is not base64url") from error
    try:
        message = _canonical({name: item for name, item in value.items() if name != "signature"})
    except UnicodeEncodeError as error:
        raise Untrusted("log-malformed", "no canonical JSON") from error
    now, revoked = standing
    trust.verify("log", fields.text("kid"), message, signature, max(now, fields.number("at")), revoked)
    if fields.matching("nonce", _NONCE) != nonce:
        raise Untrusted("log-nonce", "the answer is to another poll")
    return fields, value


def _trailer(fields: Fields) -> tuple[str, str, int, str]:
    return (
        fields.matching("origin", _ORIGIN),
        fields.matching("nonce", _NONCE),
        fields.number("at"),
        fields.text("kid"),
    )


def _require_gapless(answer: Answer, after: int | None) -> None:
    """Entries follow each other and the number asked for, and none is beyond the head."""
    numbers = [entry.seq for entry in answer.entries]
    if not numbers:
        if after is not None and after < answer.head:
            raise Untrusted("log-gap", f"no entry, although the head is {answer.head - after} further")
        return
    first = numbers[0] if after is None else after + 1
    if numbers != list(range(first, first + len(numbers))) or numbers[-1] > answer.head:
        raise Untrusted("log-gap", "the entries are not consecutive")


def _malformed(message: str) -> Untrusted:
    return Untrusted("log-malformed", message)
