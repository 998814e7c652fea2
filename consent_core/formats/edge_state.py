"""The edge state: everything a portable edge must know to decide, in one signed answer that soon runs out.

    consent-edge/edge-state/v1 <kid> <signature>\\n
    {"at":1789000000,"denied":{…},"head":41,"keys":[…],"origin":"…","policy":{…},"salt":"…","version":1}

    data = sign_edge_state(state, store.current("log"))          # the control plane
    state = open_edge_state(data, trust, now, revoked)           # the edge: verified, and not older than 60 s

Wire format: `docs/formats/edge-state.md`. It names no visitor: a denial is found by a holder of the token, and by no
else, because each state salts the names anew. Standard library only: this module also runs inside a guest.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.fields import JURISDICTION, Fields
from consent_core.formats.token import CATEGORIES, Key, decode_base64url, encode_base64url

MAX_AGE_S = 60  # an edge that hears nothing for a minute shows everybody the default
CLOCK_SKEW_S = 5  # how far ahead the control plane's clock may be
MAX_BYTES = 4_194_304
SALT_BYTES = 16
NAME_BYTES = 16  # of a denial; chance meetings are out of the question and would only deny
MASKS = 2 ** len(CATEGORIES)
UNKNOWN = "ZZ"

_DOMAIN = b"consent-edge/edge-state/v1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ROW = re.compile(r"[0-7]{8}")
_STATE = ("version", "at", "origin", "head", "policy", "keys", "salt", "denied")
_POLICY = ("hash", "revision", "older", "table")
_KEY = ("kid", "algorithm", "key")


class Signer(Protocol):
    """A private key of role `log`."""

    @property
    def kid(self) -> str: ...  # noqa: D102

    def sign(self, message: bytes) -> bytes: ...  # noqa: D102


class Trust(Protocol):
    """The trust file, as far as this format needs it."""

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if that key of that role, valid at `now` and not `revoked`, signed the message. Raises: Untrusted."""
        ...


class Allowed(NamedTuple):
    """What the law of a place leaves of some choices."""

    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """The decision table for tokens. `rows`: jurisdiction -> (without, with Sec-GPC), eight digits each.

    Digit *n* is what is effective for the choices *n*; both are bit masks over `CATEGORIES`.
    """

    rows: Mapping[str, tuple[str, str]]

    def lookup(self, jurisdiction: str, gpc: bool, choices: tuple[str, ...]) -> Allowed:
        """What is effective now for a token whose scopes are `choices`. Unknown jurisdiction: `ZZ`."""
        row = self.rows.get(jurisdiction) or self.rows[UNKNOWN]
        return Allowed(categories_of(int(row[gpc is not False][mask_of(choices)])))


@dataclass(frozen=True, slots=True)
class EdgePolicy:
    """The policy in force. `older`: hashes that were in force before, newest first."""

    hash: str
    revision: int
    older: tuple[str, ...]
    table: EdgeTable


@dataclass(frozen=True, slots=True)
class EdgeState:
    """The control plane's word at Unix time `at`: the log up to `head`, and what follows from it.

    `denied`: salted name -> the denials of one visitor, each `(below, mask)`: tokens with a lower `ver` lose those
    categories.
    """

    at: int
    origin: str
    head: int
    policy: EdgePolicy
    keys: tuple[Key, ...]
    salt: bytes
    denied: Mapping[str, tuple[tuple[int, int], ...]]

    def denials(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that tokens of this subject (64 hex digits) at this `ver` have lost."""
        said = self.denied.get(denial_name(self.salt, subject), ())
        return frozenset(name for below, mask in said if ver < below for name in categories_of(mask))


def denial_name(salt: bytes, subject: str) -> str:
    """What one state calls a subject of the log, 22 characters."""
    return encode_base64url(hashlib.sha256(_DOMAIN + salt + bytes.fromhex(subject)).digest()[:NAME_BYTES])


def mask_of(categories: Iterable[str]) -> int:
    """Categories as a bit mask."""
    chosen = frozenset(categories)
    return sum(1 << bit for bit, name in enumerate(CATEGORIES) if name in chosen)


def categories_of(mask: int) -> tuple[str, ...]:
    """The categories of a bit mask, in canonical order."""
    return tuple(name for bit, name in enumerate(CATEGORIES) if mask >> bit & 1)


def sign_edge_state(state: EdgeState, signer: Signer) -> bytes:
    """The bytes of a state. `open_edge_state` of them gives the same value back."""
    payload = json.dumps(_value(state), separators=(",", ":"), sort_keys=True).encode("ascii")
    signature = encode_base64url(signer.sign(_message(payload)))
    return b" ".join((_DOMAIN, signer.kid.encode("ascii"), signature.encode("ascii"))) + b"\n" + payload


def open_edge_state(data: bytes, trust: Trust, now: int, revoked: frozenset[str]) -> EdgeState:
    """Verify a state; `now` is the edge's own clock in Unix seconds, `revoked` the keys that it knows to be.

    Raises: Untrusted("edge-state-malformed" | "edge-state-stale" | "trust-…").
    """
    first, newline, payload = data.partition(b"\n")
    parts = first.split(b" ")
    if not newline or len(data) > MAX_BYTES or len(parts) != 3 or parts[0] != _DOMAIN:
        raise _malformed("expected a signature line and a JSON object")
    try:
        kid, signature = parts[1].decode("ascii"), decode_base64url(parts[2].decode("ascii"))
    except (UnicodeDecodeError, Rejected) as error:
        raise _malformed("the signature line is not ASCII and base64url") from error
    trust.verify("log", kid, _message(payload), signature, now, revoked)
    state = _read(payload)
    if not now - MAX_AGE_S < state.at <= now + CLOCK_SKEW_S:
        raise Untrusted("edge-state-stale", f"made {now - state.at} s ago; expected less than {MAX_AGE_S}")
    return state


def _message(payload: bytes) -> bytes:
    """What is signed: a digest, so that a verifier with little memory can check a state of any size."""
    return _DOMAIN + b"\0" + hashlib.sha256(payload).digest()


def _value(state: EdgeState) -> dict[str, Any]:
    return {
        "version": 1,
        "at": state.at,
        "origin": state.origin,
        "head": state.head,
        "policy": {
            "hash": state.policy.hash,
            "revision": state.policy.revision,
            "older": state.policy.older,
            "table": state.policy.table.rows,
        },
        "keys": [{"kid": k.kid, "algorithm": k.algorithm, "key": encode_base64url(k.key)} for k in state.keys],
        "salt": encode_base64url(state.salt),
        "denied": state.denied,
    }


def _read(payload: bytes) -> EdgeState:
    """The value of a payload whose signature was checked: what is wrong here, the control plane got wrong."""
    try:
        fields = Fields(json.loads(payload), _malformed, _STATE)
        if fields.number("version") != 1:
            raise _malformed("expected version 1")
        return EdgeState(
            at=fields.number("at"),
            origin=fields.text("origin"),
            head=fields.number("head"),
            policy=_read_policy(fields.mapping("policy")),
            keys=tuple(_read_key(item) for item in fields.items("keys", 64)),
            salt=decode_base64url(fields.text("salt")),
            denied=_read_denied(fields.mapping("denied")),
        )
    except (ValueError, TypeError, RecursionError, Rejected) as error:
        raise _malformed("not of the agreed form") from error


def _read_policy(value: dict[str, Any]) -> EdgePolicy:
    fields = Fields(value, _malformed, _POLICY)
    rows = fields.mapping("table")
    if UNKNOWN not in rows or not all(JURISDICTION.fullmatch(place) for place in rows):
        raise _malformed("table: expected a row per jurisdiction, and one for ZZ")
    older = tuple(fields.items("older", 1024))
    if not all(isinstance(name, str) and _DIGEST.fullmatch(name) for name in older):
        raise _malformed("older: expected digests")
    table = EdgeTable({place: _read_row(row) for place, row in rows.items()})
    return EdgePolicy(fields.matching("hash", _DIGEST), fields.number("revision"), older, table)


def _read_row(row: Any) -> tuple[str, str]:
    without, with_signal = row
    if not (_ROW.fullmatch(without) and _ROW.fullmatch(with_signal)):
        raise _malformed("table: expected eight digits per row")
    return without, with_signal


def _read_key(value: Any) -> Key:
    fields = Fields(value, _malformed, _KEY)
    return Key(fields.text("kid"), fields.text("algorithm"), decode_base64url(fields.text("key")))


def _read_denied(value: dict[str, Any]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {name: tuple((int(below), int(mask)) for below, mask in said) for name, said in value.items()}


def _malformed(message: str) -> Untrusted:
    return Untrusted("edge-state-malformed", message)
