"""A head of the revocation log by itself: what a POP shows with each poll, and what makes a restored log its successor.

    shown = show_head(answer_bytes)                 # the answer without its entries; its signature stays good
    head = open_head(shown, trust, revoked)               # the control plane: did my key sign this?

    data = sign_succession(succession, signer)      # after a restore: (old origin, number, chain) → new origin
    succession = open_succession(data, trust, nonce, now, revoked)

Wire format: `docs/formats/revocation-log.md`. Both are signed by role `log`. A succession names the person who
approved the restore; whether it covers a POP is judged by that POP.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.revocation import (
    ANSWER,
    ORIGIN,
    SNAPSHOT,
    Point,
    Signer,
    Trust,
    read_point,
    signed,
    verified,
    without_entries,
)
from consent_core.formats.token import decode_base64url, encode_base64url

MAX_HEAD_BYTES = 2_048
HEAD_HEADER = "log-head"  # of a poll: base64url of what `show_head` gives

_APPROVER = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{0,64}")
_SUCCESSION = ("old", "new", "follow", "approval", "nonce", "at", "kid", "signature")
_PLACE = ("origin", "number", "chain")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of the log `origin` at Unix time `at`, as the log's key signed it."""

    origin: str
    point: Point
    at: int


@dataclass(frozen=True, slots=True)
class Approval:
    """Who decided that the restored log takes the old one's place, and when (Unix seconds)."""

    approver: str
    at: int


@dataclass(frozen=True, slots=True)
class Succession:
    """Everything that the log `old_origin` said up to `old` is part of the log `new_origin`.

    follow: where in the new log a reader who stands at `old` reads on.
    """

    old_origin: str
    old: Point
    new_origin: str
    follow: Point
    approval: Approval


def show_head(answer: bytes) -> bytes:
    """A signed answer or snapshot, its entries replaced by their digest: a few hundred bytes."""
    return canonical_json(without_entries(json.loads(answer)))


def encode_head(shown: bytes) -> str:
    """The value of the `Log-Head` header."""
    return encode_base64url(shown)


def read_head_header(text: str) -> bytes:
    """What `encode_head` was given. Raises: Rejected("bad-request")."""
    try:
        return decode_base64url(text)
    except Rejected as error:
        raise Rejected("bad-request", "Log-Head: expected base64url") from error


def open_head(data: bytes, trust: Trust, revoked: frozenset[str]) -> Head:
    """Verify a head that `show_head` made; its key must have been valid when it signed.

    Raises: Untrusted("log-malformed" | "json-malformed" | "trust-…").
    """
    value = read_json_object(data, MAX_HEAD_BYTES)
    fields = verified(value, SNAPSHOT if "through" in value else ANSWER, trust, 0, revoked)
    fields.text("entries")
    return Head(fields.matching("origin", ORIGIN), read_point(fields, "head", "chain"), fields.number("at"))


def claimed_head(data: bytes) -> Head:
    """The same without a look at the signature: to see cheaply whether the look is worth it. Raises: as `open_head`."""
    value = read_json_object(data, MAX_HEAD_BYTES)
    fields = Fields(value, _malformed, SNAPSHOT if "through" in value else ANSWER)
    return Head(fields.matching("origin", ORIGIN), read_point(fields, "head", "chain"), fields.number("at"))


def sign_succession(succession: Succession, nonce: str, at: int, signer: Signer) -> bytes:
    """The bytes of a succession. `open_succession` of them gives the same value back."""
    body = {
        "old": _place(succession.old_origin, succession.old),
        "new": succession.new_origin,
        "follow": {"number": succession.follow.number, "chain": succession.follow.chain},
        "approval": {"approver": succession.approval.approver, "at": succession.approval.at},
    }
    return canonical_json(signed({**body, "nonce": nonce, "at": at, "kid": signer.kid}, signer))


def is_succession(data: bytes) -> bool:
    """Whether this is meant to be one, for who may get an answer instead. Raises: Untrusted("json-malformed")."""
    return "follow" in read_json_object(data, 1_048_576)


def open_succession(data: bytes, trust: Trust, nonce: str, now: int, revoked: frozenset[str]) -> Succession:
    """Verify a succession that answers the poll with `nonce`; `now`, `revoked` as in `open_answer`.

    Raises: Untrusted("log-malformed" | "log-nonce" | "json-malformed" | "trust-…").
    """
    fields = verified(read_json_object(data, MAX_HEAD_BYTES), _SUCCESSION, trust, now, revoked)
    if fields.matching("nonce", _NONCE) != nonce:
        raise Untrusted("log-nonce", "the succession answers another poll")
    old = Fields(fields.mapping("old"), _malformed, _PLACE)
    follow = Fields(fields.mapping("follow"), _malformed, _PLACE[1:])
    approval = Fields(fields.mapping("approval"), _malformed, ("approver", "at"))
    return Succession(
        old.matching("origin", ORIGIN),
        read_point(old, "number", "chain"),
        fields.matching("new", ORIGIN),
        read_point(follow, "number", "chain"),
        Approval(approval.matching("approver", _APPROVER), approval.number("at")),
    )


def _place(origin: str, point: Point) -> dict[str, Any]:
    return {"origin": origin, "number": point.number, "chain": point.chain}


def _malformed(message: str) -> Untrusted:
    return Untrusted("log-malformed", message)
