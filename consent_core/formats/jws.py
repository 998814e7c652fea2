"""Compact JWS in one spelling: canonical header, canonical payload, one Ed25519 signature by a named key.

    text = sign_jws("eat+jwt", claims, signer)
    jws = read_jws(text, "eat+jwt", MAX_BYTES, refuse)
    verify(jws.kid, jws.message, jws.signature)         # before anything in `jws.payload` is believed

Used where what is signed is also hashed, so that a second spelling would be a second thing. Source: RFC 7515 section
3.1, RFC 8037, RFC 8785.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import Refuse
from consent_core.formats.token import decode_base64url, encode_base64url

ALGORITHM = "EdDSA"

# verify(kid, message, signature) returns nothing and raises Untrusted for a key it does not know or a bad signature.
Verify = Callable[[str, bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class Jws:
    """A JWS taken apart and well formed. Nothing in `payload` may be believed before `signature` is checked."""

    kid: str
    payload: Mapping[str, Any]
    message: bytes
    signature: bytes


def sign_jws(typ: str, payload: Mapping[str, Any], signer: Signer) -> str:
    """The one compact JWS of this payload by this key."""
    header = canonical_json({"alg": ALGORITHM, "kid": signer.kid, "typ": typ})
    message = f"{encode_base64url(header)}.{encode_base64url(canonical_json(payload))}"
    return f"{message}.{encode_base64url(signer.sign(message.encode('ascii')))}"


def read_jws(text: str, typ: str, limit: int, refuse: Refuse) -> Jws:
    """Take a JWS of at most `limit` characters apart. Raises: what `refuse` makes of a message."""
    parts = text.split(".") if len(text) <= limit and text.isascii() else []
    if len(parts) != 3:
        raise refuse(f"expected a compact JWS of at most {limit} characters")
    header = _object(parts[0], limit, refuse)
    if header.keys() != {"alg", "typ", "kid"} or (header["alg"], header["typ"]) != (ALGORITHM, typ):
        raise refuse(f"expected the header alg {ALGORITHM}, typ {typ} and kid")
    if not isinstance(header["kid"], str):
        raise refuse("kid: expected a string")
    message = f"{parts[0]}.{parts[1]}".encode("ascii")
    return Jws(header["kid"], _object(parts[1], limit, refuse), message, _bytes(parts[2], refuse))


def _object(part: str, limit: int, refuse: Refuse) -> dict[str, Any]:
    data = _bytes(part, refuse)
    try:
        value = read_json_object(data, limit)
        canonical = canonical_json(value)
    except (Untrusted, ValueError) as error:
        raise refuse("a part is not JSON") from error
    if canonical != data:
        raise refuse("a part is not canonical JSON")
    return value


def _bytes(part: str, refuse: Refuse) -> bytes:
    try:
        return decode_base64url(part)
    except Rejected as error:
        raise refuse("a part is not base64url") from error
