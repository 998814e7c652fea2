"""Leaves: what the public ledger says. A commitment; of a fact, also whose and in which order. `docs/formats/leaf.md`.

    salt = 32 random bytes
    leaf = person_leaf(commit(body, salt))           # {"c":"5yQ…","kind":"person","v":1}
    read_leaf(leaf).commitment == commit(body, salt) # only a holder of body and salt can open the leaf

A leaf about a person does not even say what kind of body it has. A random commitment is indistinguishable from one
that a body made: batches are padded with those.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

PERSON = "person"
# kind of a fact -> the members that its leaf has besides commitment, kind and version
FACTS: dict[str, tuple[str, ...]] = {
    "attestation": ("by", "life", "n"),
    "policy": (),
    "release": (),
    "key": (),
    "endorsement": ("by",),
    "attesters": ("n",),
}
SALT_BYTES = 32
COMMITMENT_BYTES = 32
MAX_LEAF_BYTES = 400

_DOMAIN = b"consent-edge/commitment/v1\0"
_PERSON_LEAF = re.compile(rb'\{"c":"([A-Za-z0-9_-]{43})","kind":"person","v":1\}')
_BY = re.compile(r"[a-z0-9-]{1,64}(?:/[a-z0-9.-]{1,64}){1,3}")  # the path of a SPIFFE id: workloads alone are named


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the ledger. `by`, `life`, `n`: of facts whose kind has them, None elsewhere."""

    kind: str
    commitment: bytes
    by: str | None = None
    life: int | None = None
    n: int | None = None


def commit(body: bytes, salt: bytes) -> bytes:
    """32 bytes that tell nothing of `body` to who has not `salt`, and open to no other body."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt is {SALT_BYTES} bytes")
    return hmac.digest(salt, _DOMAIN + body, "sha256")


def public_commitment(body: bytes) -> bytes:
    """The commitment of a body that is itself public (`attesters`): its SHA-256."""
    return hashlib.sha256(body).digest()


def verify_commitment(commitment: bytes, body: bytes, salt: bytes) -> None:
    """Return if body and salt open the commitment. Raises: Untrusted("commitment")."""
    if len(salt) != SALT_BYTES or not hmac.compare_digest(commit(body, salt), commitment):
        raise Untrusted("commitment", "this document does not open this leaf")


def person_leaf(commitment: bytes) -> bytes:
    """The leaf of anything about a person."""
    _require_length(commitment)
    return b'{"c":"%b","kind":"person","v":1}' % encode_base64url(commitment).encode("ascii")


def fact_leaf(
    kind: str, commitment: bytes, by: str | None = None, life: int | None = None, n: int | None = None
) -> bytes:
    """The leaf of a fact about a workload. Raises: ValueError for members that the kind has not."""
    given = {name: value for name, value in (("by", by), ("life", life), ("n", n)) if value is not None}
    if set(given) != set(FACTS[kind]):
        raise ValueError(f"a leaf of {kind} has: {', '.join(FACTS[kind]) or 'nothing more'}")
    return _write(kind, commitment, given)


def read_leaf(data: bytes) -> Leaf:
    """A leaf in its one spelling. Raises: Untrusted("leaf-malformed" | "json-malformed")."""
    if about := _PERSON_LEAF.fullmatch(data):  # nearly all of them, and twenty times as fast as any JSON
        return Leaf(PERSON, _commitment(about[1].decode("ascii")))
    value = read_json_object(data, MAX_LEAF_BYTES)
    kind = value.get("kind")
    members = FACTS.get(kind, ()) if isinstance(kind, str) else ()
    fields = Fields(value, _malformed, ("c", "kind", "v", *members))
    fields.one_of("kind", (PERSON, *FACTS))
    leaf = Leaf(
        kind=fields.text("kind"),
        commitment=_commitment(fields.text("c")),
        by=fields.matching("by", _BY) if "by" in members else None,
        life=fields.number("life") if "life" in members else None,
        n=fields.number("n") if "n" in members else None,
    )
    if fields.number("v") != 1 or canonical_json(value) != data:
        raise _malformed("not version 1 in its canonical spelling")
    return leaf


def _write(kind: str, commitment: bytes, more: dict[str, Any]) -> bytes:
    _require_length(commitment)
    return canonical_json({"c": encode_base64url(commitment), "kind": kind, "v": 1, **more})


def _require_length(commitment: bytes) -> None:
    if len(commitment) != COMMITMENT_BYTES:
        raise ValueError(f"a commitment is {COMMITMENT_BYTES} bytes")


def _commitment(text: str) -> bytes:
    try:
        commitment = decode_base64url(text)
    except Rejected as error:
        raise _malformed("c: not base64url") from error
    if len(commitment) != COMMITMENT_BYTES:
        raise _malformed(f"c: expected {COMMITMENT_BYTES} bytes")
    return commitment


def _malformed(message: str) -> Untrusted:
    return Untrusted("leaf-malformed", message)
