"""Public keys as a JSON Web Key Set. Wire format: `docs/formats/jwks.md`.

Source: RFC 7517, RFC 8037 (Ed25519 as OKP), RFC 7518 section 6.2 (P-256 as EC).
"""

from collections.abc import Iterable
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.token import Key, decode_base64url, encode_base64url

MAX_BYTES = 65_536
MAX_KEYS = 64
_COMMON = ("kty", "crv", "kid", "alg", "use", "x")


def write_jwks(keys: Iterable[Key]) -> bytes:
    """The set as canonical JSON; `read_jwks` gives the same keys back."""
    return canonical_json({"keys": [_jwk(key) for key in keys]})


def read_jwks(data: bytes) -> tuple[Key, ...]:
    """The keys of a set. Strict: a key that is not exactly of the agreed form spoils the set.

    Raises: Untrusted("jwks-malformed" | "json-malformed").
    """
    fields = Fields(read_json_object(data, MAX_BYTES), _malformed, required=("keys",))
    keys = tuple(_key(item) for item in fields.items("keys", MAX_KEYS))
    if len({key.kid for key in keys}) != len(keys):
        raise _malformed("a kid appears twice")
    return keys


def _jwk(key: Key) -> dict[str, Any]:
    common = {"kid": key.kid, "use": "sig"}
    if key.algorithm == "ed25519":
        return {**common, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": encode_base64url(key.key)}
    x, y = key.key[1:33], key.key[33:65]
    coordinates = {"x": encode_base64url(x), "y": encode_base64url(y)}
    return {**common, "kty": "EC", "crv": "P-256", "alg": "ES256", **coordinates}


def _key(value: object) -> Key:
    curve = value.get("crv") if isinstance(value, dict) else None
    if curve == "Ed25519":
        fields = _fields(value, _COMMON, ("OKP", "EdDSA"))
        return Key(fields.text("kid", 256), "ed25519", _coordinate(fields, "x"))
    if curve == "P-256":
        fields = _fields(value, (*_COMMON, "y"), ("EC", "ES256"))
        return Key(fields.text("kid", 256), "es256", b"\x04" + _coordinate(fields, "x") + _coordinate(fields, "y"))
    raise _malformed("expected the curve Ed25519 or P-256")


def _fields(value: object, members: tuple[str, ...], kind: tuple[str, str]) -> Fields:
    """The members of a public signing key; a private one (`d`) is refused like any unknown member."""
    fields = Fields(value, _malformed, required=members)
    fields.one_of("kty", kind[:1])
    fields.one_of("alg", kind[1:])
    fields.one_of("use", ("sig",))
    return fields


def _coordinate(fields: Fields, name: str) -> bytes:
    try:
        data = decode_base64url(fields.text(name))
    except Rejected as error:
        raise Untrusted("jwks-malformed", f"{name} is not base64url") from error
    if len(data) != 32:
        raise _malformed(f"{name}: expected 32 bytes")
    return data


def _malformed(message: str) -> Untrusted:
    return Untrusted("jwks-malformed", message)
