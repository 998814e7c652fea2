"""The revocation log on the wire: entries, the signed answer to a poll, the signed snapshot for who comes too late.

    answer = open_answer(body, trust, nonce="b64url the POP chose", after=41)
    for entry in answer.entries: ...            # 42, 43, … without a gap, each naming the hash of the one before it
    in sync as far as answer.entries reach answer.head

Wire format: `docs/formats/revocation-log.md`. Entries are a hash chain (`entry_hash`). Answers are signed by role `log`
over the canonical JSON of everything but `signature`, with the digest of `entries` in their place: so `log_head.py`
can show a head without its entries. Whether a head may be believed *now* (age, rewind, another origin, another chain)
is judged by who polls, not here.
"""

import hashlib
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
# What a POP that applies an entry has to do; one word per kind, fixed so that an old POP never guesses.
EFFECTS = {"session": "stop", "key": "distrust", "policy": "activate", "model": "withdraw", "purge": "erase"}
MAX_ENTRIES = 1000  # in one answer; a longer log takes several polls
MAX_SURVIVORS = 1_000_000  # in one snapshot
MAX_ANSWER_BYTES = 1_048_576
MAX_SNAPSHOT_BYTES = 268_435_456
EVERY_VERSION = 2**53 - 1  # the `ver` that every token is below
GENESIS = "sha256:" + "0" * 64  # the `prev` of entry 1
SALT_BYTES = 16  # under the hash: without them, who holds the entries around another's confirms a guess of it

_PERSON = re.compile(r"[0-9a-f]{64}")
_SUBJECT = re.compile(r"[A-Za-z0-9:._/-]{1,256}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{0,64}")
ORIGIN = re.compile(r"[A-Za-z0-9_-]{22}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SALT = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_ENTRY = ("seq", "prev", "salt", "kind", "subject", "categories", "ver", "said", "at", "effect")
ANSWER = ("entries", "head", "chain", "origin", "nonce", "at", "kid", "signature")
SNAPSHOT = (*ANSWER, "after", "after_chain", "through", "through_chain")


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
class Point:
    """A place in a log: a number, and the hash of the entry that has it (`GENESIS` for 0)."""

    number: int
    chain: str


START = Point(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    prev: `entry_hash` of the line before. salt: `SALT_BYTES` random bytes in base64url, made with the line.
    said: the number of the no that the line enforces, 0 where none is known.
    kind session, purge: `subject` is `subject_of(sub)`; tokens of that visitor below `ver` lose `categories`.
    kind key, policy, model: `subject` is the key id (or a SPIFFE id, or a certificate's `serial:<hex>`), policy hash or
    model id; no categories, `ver` 0.
    """

    seq: int
    prev: str
    salt: str
    kind: str
    subject: str
    categories: tuple[str, ...]
    ver: int
    said: int
    at: int
    effect: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The entries after the asked number, in order and without a gap, and the log's head at time `at`.

    chain: the hash of the head's entry.
    """

    entries: tuple[Entry, ...]
    head: int
    chain: str
    origin: str
    nonce: str
    at: int
    kid: str
    signature: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is still in force of entries 1 to `through`, for who asked for pruned ones. Poll on from `through`.

    after, after_chain: the place asked for, as this log has it: the poller holds it against its own.
    """

    entries: tuple[Entry, ...]
    after: int
    after_chain: str
    through: int
    through_chain: str
    head: int
    chain: str
    origin: str
    nonce: str
    at: int
    kid: str
    signature: str


def entry_hash(entry: Entry) -> str:
    """What the next entry names as its `prev`: `sha256:` over the canonical JSON of the whole entry."""
    return _digest(entry_value(entry))


def head_of(entries: Sequence[Entry], before: Point) -> Point:
    """The place that entries lead to from `before`."""
    return Point(entries[-1].seq, entry_hash(entries[-1])) if entries else before


def sign_answer(entries: Sequence[Entry], head: Point, origin: str, nonce: str, at: int, signer: Signer) -> bytes:
    """The bytes of an answer. `open_answer` of them gives the same values back."""
    body = {"entries": [entry_value(entry) for entry in entries], "head": head.number, "chain": head.chain}
    return _signed({**body, "origin": origin, "nonce": nonce, "at": at, "kid": signer.kid}, signer)


def sign_snapshot(
    entries: Sequence[Entry],
    after: Point,
    through: Point,
    head: Point,
    origin: str,
    nonce: str,
    at: int,
    signer: Signer,
) -> bytes:
    """The bytes of a snapshot. `open_snapshot` of them gives the same values back."""
    body = {
        "entries": [entry_value(entry) for entry in entries],
        "after": after.number,
        "after_chain": after.chain,
        "through": through.number,
        "through_chain": through.chain,
        "head": head.number,
        "chain": head.chain,
    }
    return _signed({**body, "origin": origin, "nonce": nonce, "at": at, "kid": signer.kid}, signer)


def open_answer(
    data: bytes, trust: Trust, nonce: str, now: int, revoked: frozenset[str], *, after: int | None = None
) -> Answer:
    """Verify an answer to the poll that carried `nonce`.

    Args:   after: the number asked for, when the caller wants the first entry held against it.
            now: the caller's clock, Unix seconds. The key must be valid then, or when it says that it signed if that
            is later: a clock that is behind refuses no new key.
            revoked: the keys that the log is known to have taken away.
    Raises: Untrusted("log-malformed" | "log-nonce" | "log-gap" | "log-fork" | "json-malformed" | "trust-…").
    """
    fields = verified(read_json_object(data, MAX_ANSWER_BYTES), ANSWER, trust, now, revoked)
    _require_nonce(fields, nonce)
    answer = read_answer(fields)
    _require_gapless(answer, after)
    _require_chained(answer.entries, Point(answer.head, answer.chain))
    return answer


def open_snapshot(data: bytes, trust: Trust, nonce: str, now: int, revoked: frozenset[str]) -> Snapshot:
    """Verify a snapshot that answers the poll with `nonce`. Raises: as `open_answer`."""
    fields = verified(read_json_object(data, MAX_SNAPSHOT_BYTES), SNAPSHOT, trust, now, revoked)
    _require_nonce(fields, nonce)
    entries = tuple(read_entry(item) for item in fields.items("entries", MAX_SURVIVORS))
    after, through = read_point(fields, "after", "after_chain"), read_point(fields, "through", "through_chain")
    head = read_point(fields, "head", "chain")
    numbers = [0, *(entry.seq for entry in entries), through.number + 1]
    if through.number > head.number or any(low >= high for low, high in pairwise(numbers)):
        raise Untrusted("log-gap", "the snapshot's entries are not in order")
    _require_chained(entries, through)
    places = (after.number, after.chain, through.number, through.chain, head.number, head.chain)
    return Snapshot(entries, *places, *_trailer(fields))


def entry_value(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON value."""
    return {
        "seq": entry.seq,
        "prev": entry.prev,
        "salt": entry.salt,
        "kind": entry.kind,
        "subject": entry.subject,
        "categories": list(entry.categories),
        "ver": entry.ver,
        "said": entry.said,
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
        prev=fields.matching("prev", _HASH),
        salt=fields.matching("salt", _SALT),
        kind=kind,
        subject=fields.matching("subject", _PERSON if person else _SUBJECT),
        categories=fields.categories("categories"),
        ver=fields.number("ver"),
        said=fields.number("said"),
        at=fields.number("at"),
        effect=fields.one_of("effect", (EFFECTS[kind],)),
    )
    if entry.seq == 0 or bool(entry.categories) != person or bool(entry.ver) != person or (entry.said and not person):
        raise _malformed(f"a {kind} entry does not look like this")
    if list(entry.categories) != fields.items("categories", len(entry.categories)):
        raise _malformed("categories: expected in their order, since the hash is over them")
    return entry


def hint(head: int) -> bytes:
    """One event of `/v1/revocations/stream`: the head has reached this number, come and poll."""
    return b"event: head\ndata: " + json.dumps({"head": head}).encode("ascii") + b"\n\n"


def verified(
    value: dict[str, Any], members: tuple[str, ...], trust: Trust, now: int, revoked: frozenset[str]
) -> Fields:
    """The members of a signed value. Signature first: nothing is read out of what the log's key did not sign.

    now, revoked: as `open_answer`.
    Raises: Untrusted("log-malformed" | "trust-…").
    """
    fields = Fields(value, _malformed, required=members)
    try:
        signature = decode_base64url(fields.text("signature"))
    except Rejected as error:
        raise Untrusted("log-malformed", "the signature is not base64url") from error
    try:
        message = _message({name: item for name, item in value.items() if name != "signature"})
    except UnicodeEncodeError as error:
        raise Untrusted("log-malformed", "no canonical JSON") from error
    trust.verify("log", fields.text("kid"), message, signature, max(now, fields.number("at")), revoked)
    return fields


def read_answer(fields: Fields) -> Answer:
    """An answer from its verified members. Raises: Untrusted("log-malformed")."""
    entries = tuple(read_entry(item) for item in fields.items("entries", MAX_ENTRIES))
    head = read_point(fields, "head", "chain")
    return Answer(entries, head.number, head.chain, *_trailer(fields))


def read_point(fields: Fields, number: str, chain: str) -> Point:
    """A place in a log from two members. Raises: Untrusted("log-malformed")."""
    point = Point(fields.number(number), fields.matching(chain, _HASH))
    if (point.number == 0) != (point.chain == GENESIS):
        raise _malformed("number 0 and nothing else has the hash of no entry")
    return point


def signed(body: dict[str, Any], signer: Signer) -> dict[str, Any]:
    """The body with its signature."""
    return {**body, "signature": encode_base64url(signer.sign(_message(body)))}


def without_entries(value: Mapping[str, Any]) -> dict[str, Any]:
    """A signed answer or snapshot with the digest of its entries in their place: the signature stays good."""
    return {**value, "entries": _digest(value["entries"])}


def _signed(body: dict[str, Any], signer: Signer) -> bytes:
    return _canonical(signed(body, signer))


def _message(body: Mapping[str, Any]) -> bytes:
    return _canonical(without_entries(body) if isinstance(body.get("entries"), list) else body)


def _digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(_canonical(value)).hexdigest()


def _canonical(value: Any) -> bytes:
    """RFC 8785 for what this format holds (ASCII names, texts, whole numbers), thirty times as fast as for all JSON.

    A value that holds anything else has another spelling here, and no signature is over that one: it is refused, not
    misread.
    Raises: UnicodeEncodeError for half a surrogate pair.
    """
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode("utf-8")


def _require_nonce(fields: Fields, nonce: str) -> None:
    if fields.matching("nonce", _NONCE) != nonce:
        raise Untrusted("log-nonce", "the answer is to another poll")


def _trailer(fields: Fields) -> tuple[str, str, int, str, str]:
    return (
        fields.matching("origin", ORIGIN),
        fields.matching("nonce", _NONCE),
        fields.number("at"),
        fields.text("kid"),
        fields.text("signature"),
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


def _require_chained(entries: Sequence[Entry], last: Point) -> None:
    """Each entry names the hash of the one before it, as far as both are here; the last one has the hash signed."""
    for before, entry in pairwise(entries):
        if entry.seq == before.seq + 1 and entry.prev != entry_hash(before):
            raise Untrusted("log-fork", f"entry {entry.seq} does not follow the one before it")
    if entries and entries[0].seq == 1 and entries[0].prev != GENESIS:
        raise Untrusted("log-fork", "entry 1 names one before it")
    if entries and entries[-1].seq == last.number and entry_hash(entries[-1]) != last.chain:
        raise Untrusted("log-fork", f"entry {last.number} is not the one that was signed for")


def _malformed(message: str) -> Untrusted:
    return Untrusted("log-malformed", message)
