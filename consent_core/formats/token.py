"""The consent token: one strict parser for guest, POP, control plane and device.

Wire format: `docs/formats/consent-token.md`. A compact JWS (RFC 7515 section 3.1) with a closed header and a closed
set of claims. `validate` runs the whole procedure; signature checking is an argument, because a guest uses
the composed verifier component and a host uses its cryptography library.

Standard library only, no clock: the caller says what time it is.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from consent_core.errors import Rejected

MAX_TOKEN_BYTES = 4096
MAX_LIFETIME_S = 300
MAX_BRACKETS = 8  # a token needs three; more can only be nesting, and nesting exhausts a guest's stack
MILLISECONDS_FROM = 100_000_000_000  # as seconds this is the year 5138: an issuer that writes it means milliseconds
TYP = "consent+jwt"
AUDIENCE = "edge"
CATEGORIES = ("contextual", "behavioral", "experimental")

# JOSE algorithm name (RFC 8037, RFC 7518) -> the name used in WIT.
ALGORITHMS = {"EdDSA": "ed25519", "ES256": "es256"}
HEADER_FIELDS = frozenset({"alg", "typ", "kid"})
CLAIMS = frozenset({"iss", "aud", "sub", "iat", "exp", "jti", "ver", "scopes", "region", "hash"})

# Every code `validate` can raise, in the order the checks run. The WIT enum `rejection` has the same cases.
REJECTIONS = (
    "token-too-long",
    "token-malformed",
    "token-base64",
    "token-too-deep",
    "token-json",
    "token-duplicate-key",
    "token-header",
    "token-typ",
    "token-alg-none",
    "token-alg",
    "token-kid",
    "token-key-mismatch",
    "token-signature",
    "token-claim-unknown",
    "token-claim-missing",
    "token-claim-type",
    "token-milliseconds",
    "token-lifetime",
    "token-issuer",
    "token-audience",
    "token-not-yet-valid",
    "token-expired",
)

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_SUBJECT = re.compile(r"[A-Za-z0-9_-]{22}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Key(NamedTuple):
    """A public key for one algorithm: 32 raw bytes for ed25519, 65 bytes (SEC 1, uncompressed) for es256."""

    kid: str
    algorithm: str
    key: bytes


class Expectation(NamedTuple):
    """What the caller demands. `now` is Unix seconds; `leeway` (seconds) forgives a fast issuer, never an expiry."""

    issuer: str
    audience: str
    now: int
    leeway: int


class Claims(NamedTuple):
    """The claims of a token, field for field."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    jti: str
    ver: int
    scopes: tuple[str, ...]
    region: str
    hash: str


class Unverified(NamedTuple):
    """A token taken apart and well formed, its signature and claims not yet checked."""

    algorithm: str
    kid: str
    message: bytes
    signature: bytes
    claims: dict[str, Any]


# verify(algorithm, key, message, signature) returns nothing and raises Rejected("token-signature") on a bad signature.
Verify = Callable[[str, bytes, bytes, bytes], None]


def validate(text: str, keys: Sequence[Key], expected: Expectation, verify: Verify) -> Claims:
    """Check a token completely and return its claims.

    Raises: Rejected with one of `REJECTIONS`.
    Source: RFC 7519 section 7.2 and RFC 8725 (pinned algorithms, explicit typing, mutually exclusive rules).
    """
    token = parse(text)
    verify(token.algorithm, find_key(keys, token.kid, token.algorithm).key, token.message, token.signature)
    claims = read_claims(token.claims)
    check_claims(claims, expected)
    return claims


def parse(text: str) -> Unverified:
    """Take a token apart. Nothing it says may be believed before its signature is checked."""
    if len(text) > MAX_TOKEN_BYTES:
        raise Rejected("token-too-long", f"expected at most {MAX_TOKEN_BYTES} characters, got {len(text)}")
    parts = text.split(".")
    if len(parts) != 3:
        raise Rejected("token-malformed", f"expected 3 parts, got {len(parts)}")
    header = _read_object(_decode(parts[0]))
    algorithm = _check_header(header)
    claims = _read_object(_decode(parts[1]))
    signature = _decode(parts[2])
    return Unverified(algorithm, header["kid"], f"{parts[0]}.{parts[1]}".encode("ascii"), signature, claims)


def find_key(keys: Sequence[Key], kid: str, algorithm: str) -> Key:
    """The key named `kid`, if it is for this algorithm."""
    for key in keys:
        if key.kid == kid:
            if key.algorithm != algorithm:
                raise Rejected("token-key-mismatch", f"the key is for {key.algorithm}, the token says {algorithm}")
            return key
    raise Rejected("token-kid", "no key of that id")


def read_claims(claims: dict[str, Any]) -> Claims:
    """Typed claims from a JSON object that must hold exactly the agreed ones."""
    unknown = claims.keys() - CLAIMS
    if unknown:
        raise Rejected("token-claim-unknown", f"{len(unknown)} claims are not part of the format")
    missing = CLAIMS - claims.keys()
    if missing:
        raise Rejected("token-claim-missing", f"missing: {', '.join(sorted(missing))}")
    return Claims(
        iss=_text(claims, "iss"),
        aud=_text(claims, "aud"),
        sub=_subject(claims),
        iat=_number(claims, "iat"),
        exp=_number(claims, "exp"),
        jti=_matching(claims, "jti", _IDENTIFIER),
        ver=_number(claims, "ver"),
        scopes=_scopes(claims),
        region=_matching(claims, "region", _REGION),
        hash=_matching(claims, "hash", _DIGEST),
    )


def check_claims(claims: Claims, expected: Expectation) -> None:
    """Hold the claims against what the caller demands."""
    if max(claims.iat, claims.exp) >= MILLISECONDS_FROM:
        raise Rejected("token-milliseconds", "iat and exp are seconds, not milliseconds")
    lifetime = claims.exp - claims.iat
    if not 0 < lifetime <= MAX_LIFETIME_S:
        raise Rejected("token-lifetime", f"expected 1 to {MAX_LIFETIME_S} s, got {lifetime}")
    if claims.iss != expected.issuer:
        raise Rejected("token-issuer", "issued by somebody else")
    if claims.aud != expected.audience:
        raise Rejected("token-audience", f"expected {expected.audience}")
    if claims.iat > expected.now + expected.leeway:
        raise Rejected("token-not-yet-valid", f"{claims.iat - expected.now} s early")
    if claims.exp <= expected.now:
        raise Rejected("token-expired", f"{expected.now - claims.exp} s ago")


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Bytes of the one canonical spelling. Raises: Rejected("token-base64")."""
    return _decode(text)


def _decode(text: str) -> bytes:
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Rejected("token-base64", "not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Rejected("token-base64", "not base64url") from error
    if encode_base64url(data) != text:  # unused bits set: a second spelling of the same bytes
        raise Rejected("token-base64", "not the canonical spelling")
    return data


def _read_object(data: bytes) -> dict[str, Any]:
    if data.count(b"{") + data.count(b"[") > MAX_BRACKETS:
        raise Rejected("token-too-deep", f"more than {MAX_BRACKETS} brackets")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_not_integer,
            parse_constant=_not_integer,
        )
    except Rejected:
        raise
    except (ValueError, RecursionError) as error:
        raise Rejected("token-json", "not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Rejected("token-json", "not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Rejected("token-duplicate-key", "a key appears twice")
    return value


def _not_integer(_: str) -> NoReturn:
    raise Rejected("token-claim-type", "numbers are integers")


def _check_header(header: dict[str, Any]) -> str:
    if header.keys() != HEADER_FIELDS or not all(isinstance(value, str) for value in header.values()):
        raise Rejected("token-header", "expected exactly the strings alg, typ and kid")
    if header["typ"] != TYP:
        raise Rejected("token-typ", f"expected {TYP}")
    if header["alg"].lower() == "none":
        raise Rejected("token-alg-none", "an unsigned token is no token")
    try:
        return ALGORITHMS[header["alg"]]
    except KeyError:
        raise Rejected("token-alg", f"expected one of {', '.join(ALGORITHMS)}") from None


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= 256:
        raise Rejected("token-claim-type", f"{name}: expected a string of 1 to 256 characters")
    return value


def _matching(claims: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = claims[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Rejected("token-claim-type", f"{name}: not of the agreed form")
    return value


def _subject(claims: dict[str, Any]) -> str:
    """128 random bits; the last character carries only two of them, so only four spellings are canonical."""
    value = _matching(claims, "sub", _SUBJECT)
    if value[-1] not in "AQgw":
        raise Rejected("token-claim-type", "sub: not the canonical spelling of 16 bytes")
    return value


def _number(claims: dict[str, Any], name: str) -> int:
    value = claims[name]
    if type(value) is not int or not 0 <= value < 2**53:  # a bool is an int to isinstance
        raise Rejected("token-claim-type", f"{name}: expected a whole number")
    return value


def _scopes(claims: dict[str, Any]) -> tuple[str, ...]:
    value = claims["scopes"]
    if not isinstance(value, list) or not all(isinstance(scope, str) and scope in CATEGORIES for scope in value):
        raise Rejected("token-claim-type", f"scopes: expected a list from {', '.join(CATEGORIES)}")
    if len(set(value)) != len(value):
        raise Rejected("token-claim-type", "scopes: a category appears twice")
    return tuple(value)
