"""What a control plane needs to record one yes again: signed for the POP, which keeps it and does not read it.

    text = sign_proof(proof, sign)                    # `ConsentAnswer.proof`
    proof = open_proof(text, trust, revoked)          # by a control plane restored from a backup

A compact JWS by role `log`, `typ: consent-grant+jwt`. Wire format: `docs/formats/kept.md`. The visitor's own receipt
says what the person may know; this says what the store knew: number, version, old and new session, and the record.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.revocation import Trust
from consent_core.formats.token import decode_base64url

TYP = "consent-grant+jwt"
MAX_BYTES = 16_384

_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_MEMBERS = ("key", "number", "grant", "at", "session", "visitor", "record")
_SESSION = ("predecessor", "session", "withdraw")
_VISITOR = ("sub", "record_id", "retain_until")

Sign = Callable[[bytes, str], str]  # payload, typ -> compact JWS


@dataclass(frozen=True, slots=True)
class GrantProof:
    """One yes as it was recorded, also where nothing of it counted.

    key: of the click. number: of the click, None where there was none. grant: what was asked for. session, withdraw:
    hashes of the session that the yes began; predecessor: of the one that said it. record: the newest version, in the
    store's own members.
    """

    key: str
    number: int | None
    grant: tuple[str, ...]
    at: int
    predecessor: str | None
    session: str
    withdraw: str | None
    sub: str
    record_id: str
    retain_until: int
    record: Mapping[str, Any]


def sign_proof(proof: GrantProof, sign: Sign) -> str:
    """The compact JWS. `open_proof` of it gives the same value back."""
    value = {
        "key": proof.key,
        "number": proof.number,
        "grant": list(proof.grant),
        "at": proof.at,
        "session": {"predecessor": proof.predecessor, "session": proof.session, "withdraw": proof.withdraw},
        "visitor": {"sub": proof.sub, "record_id": proof.record_id, "retain_until": proof.retain_until},
        "record": dict(proof.record),
    }
    return sign(canonical_json(value), TYP)


def open_proof(text: bytes, trust: Trust, revoked: frozenset[str]) -> GrantProof:
    """Verify a proof; its key must have been valid when it signed. Raises: Untrusted("proof-malformed" | "trust-…")."""
    if len(text) > MAX_BYTES or text.count(b".") != 2:
        raise _malformed("expected a compact JWS")
    signed, _, signature = text.rpartition(b".")
    header, _, payload = signed.partition(b".")
    head = Fields(_object(header), _malformed, ("alg", "kid", "typ"))
    head.one_of("alg", ("EdDSA",))
    head.one_of("typ", (TYP,))
    value = _object(payload)
    fields = Fields(value, _malformed, _MEMBERS)
    trust.verify("log", head.text("kid"), signed, _decoded(signature), fields.number("at"), revoked)
    return _read(fields)


def _read(fields: Fields) -> GrantProof:
    session = Fields(fields.mapping("session"), _malformed, _SESSION)
    visitor = Fields(fields.mapping("visitor"), _malformed, _VISITOR)
    return GrantProof(
        key=fields.text("key", 64),
        number=None if fields.absent("number") else fields.number("number"),
        grant=fields.categories("grant"),
        at=fields.number("at"),
        predecessor=None if session.absent("predecessor") else session.matching("predecessor", _HASH),
        session=session.matching("session", _HASH),
        withdraw=None if session.absent("withdraw") else session.matching("withdraw", _HASH),
        sub=visitor.matching("sub", _ID),
        record_id=visitor.matching("record_id", _ID),
        retain_until=visitor.number("retain_until"),
        record=fields.mapping("record"),
    )


def _object(part: bytes) -> dict[str, Any]:
    try:
        return read_json_object(_decoded(part), MAX_BYTES)
    except Untrusted as error:
        raise _malformed(error.message) from error


def _decoded(part: bytes) -> bytes:
    try:
        return decode_base64url(part.decode("ascii"))
    except (UnicodeDecodeError, Rejected) as error:
        raise _malformed("a part is not base64url") from error


def _malformed(message: str) -> Untrusted:
    return Untrusted("proof-malformed", message)
