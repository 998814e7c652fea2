"""Consent tokens, good and bad. Good ones are issued by PyJWT, an implementation that is not ours.

`CASES` names one reason per refusal; each code of `token.REJECTIONS` has at least one. A case that changes what is
signed is signed again, so that only the named reason is left.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consent_core.formats.token import Claims, Expectation, Key

NOW = 1_800_000_000
EXPECTED = Expectation("ui-tools/consent-edge", "edge", NOW, 5)
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ES256 = derive_private_key(0xC0FFEE, SECP256R1())
ED25519_PUBLIC = ED25519.public_key().public_bytes_raw()
ES256_PUBLIC = ES256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
KEYS = (Key("ed-1", "ed25519", ED25519_PUBLIC), Key("es-1", "es256", ES256_PUBLIC))

CLAIMS = {
    "iss": "ui-tools/consent-edge",
    "aud": "edge",
    "sub": "AAECAwQFBgcICQoLDA0ODw",
    "iat": NOW - 10,
    "exp": NOW + 290,
    "jti": "token-1",
    "ver": 3,
    "scopes": ["contextual", "behavioral"],
    "region": "tokyo-1",
    "hash": "sha256:" + "ab" * 32,
}
HEADER = {"alg": "EdDSA", "typ": "consent+jwt", "kid": "ed-1"}
ES_HEADER = HEADER | {"alg": "ES256", "kid": "es-1"}

Change = Mapping[str, Any]
NO_CHANGE: Change = {}


def issued(claims: Change = NO_CHANGE, algorithm: str = "EdDSA") -> str:
    """A token as the control plane issues it."""
    key, kid = (ED25519, "ed-1") if algorithm == "EdDSA" else (ES256, "es-1")
    headers = {"typ": "consent+jwt", "kid": kid}
    return jwt.encode({**CLAIMS, **claims}, key, algorithm=algorithm, headers=headers)


def expected_claims(claims: Change = NO_CHANGE) -> Claims:
    """What validating `issued(claims)` must return."""
    values = {**CLAIMS, **claims}
    return Claims(**{**values, "scopes": tuple(values["scopes"])})


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, sign: Callable[[bytes], bytes] | None = None) -> str:
    """Any bytes as header and payload, with a good signature."""
    message = f"{b64(header)}.{b64(payload)}"
    return f"{message}.{b64((sign or ED25519.sign)(message.encode()))}"


def es256(message: bytes) -> bytes:
    r, s = decode_dss_signature(ES256.sign(message, ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def with_claims(change: Change = NO_CHANGE, drop: str = "") -> str:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if name != drop}
    return signed(_json(HEADER), _json(claims))


def with_header(change: Change = NO_CHANGE, drop: str = "") -> str:
    return signed(_json({name: value for name, value in {**HEADER, **change}.items() if name != drop}), _json(CLAIMS))


def with_payload(text: str | bytes) -> str:
    return signed(_json(HEADER), text if isinstance(text, bytes) else text.encode())


def with_signature(change: Callable[[bytes], bytes], token: str = "") -> str:
    message, _, signature = (token or issued()).rpartition(".")
    return f"{message}.{b64(change(base64.urlsafe_b64decode(signature + '==')))}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _flip(place: int, bit: int = 1) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def _plus_order(signature: bytes) -> bytes:
    """S + L: the same scalar in a second spelling (RFC 8032 section 5.1.7 refuses it)."""
    order = 2**252 + 27742317777372353535851937790883648493
    return signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")


def _unused_bits() -> str:
    """The last character of a 64-byte signature carries two unused bits: a second spelling of the same bytes."""
    token = issued()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def _hmac_with_public_key() -> str:
    """Key confusion: HS256 keyed with the public key's bytes."""
    return signed(
        _json(HEADER | {"alg": "HS256"}),
        _json(CLAIMS),
        lambda message: hmac.digest(ED25519_PUBLIC, message, hashlib.sha256),
    )


SMALL_ORDER = (
    (1, b"\1" + bytes(31)),
    (2, (2**255 - 20).to_bytes(32, "little")),
    (4, bytes(32)),
    (8, bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
)


@dataclass(frozen=True)
class Case:
    """A token that must be refused with `code`; `keys` and `expected` where the reason lies there."""

    name: str
    code: str
    token: str
    keys: tuple[Key, ...] = KEYS
    expected: Expectation = EXPECTED


_TEXT = _json(CLAIMS).decode()
_GOOD = issued()
_HEAD, _BODY, _SIGNATURE = _GOOD.split(".")

CASES = (
    Case("empty", "token-malformed", ""),
    Case("one part", "token-malformed", "abc"),
    Case("two parts", "token-malformed", f"{_HEAD}.{_BODY}"),
    Case("four parts", "token-malformed", f"{_GOOD}.abc"),
    Case("five parts, as a JWE", "token-malformed", "a.b.c.d.e"),
    Case("one megabyte", "token-too-long", "a" * 1_000_000),
    Case("one character too long", "token-too-long", "a" * 4097),
    Case("padded", "token-base64", f"{_HEAD}=.{_BODY}.{_SIGNATURE}"),
    Case("empty parts", "token-base64", ".."),
    Case("empty signature", "token-base64", f"{_HEAD}.{_BODY}."),
    Case("standard alphabet", "token-base64", f"{_HEAD}.{_BODY}.{'+/' * 43}"),
    Case("line break", "token-base64", f"{_GOOD}\n"),
    Case("leading space", "token-base64", f" {_GOOD}"),
    Case("impossible length", "token-base64", f"{_HEAD}.{_BODY}.{_SIGNATURE[:-1]}"),
    Case("unused bits set", "token-base64", _unused_bits()),
    Case("not ASCII", "token-base64", f"{_HEAD}.{_BODY}.é"),
    Case("lone surrogate's stand-in", "token-base64", f"{_HEAD}.{_BODY}.\ufffd"),
    Case("a NUL", "token-base64", f"{_HEAD}.{_BODY}\x00.{_SIGNATURE}"),
    Case("arrays nested 10,000 deep", "token-too-long", with_payload("[" * 10_000)),
    Case("arrays nested as deep as fits", "token-too-deep", with_payload("[" * 2_000)),
    Case("objects nested as deep as fits", "token-too-deep", with_payload('{"a":' * 500)),
    Case("deep header", "token-too-deep", signed(b"[" * 1_000, _json(CLAIMS))),
    Case("payload is no JSON", "token-json", with_payload("nonsense")),
    Case("payload is a list", "token-json", with_payload("[]")),
    Case("payload is null", "token-json", with_payload("null")),
    Case("payload is not UTF-8", "token-json", with_payload(b'{"iss":"\xff"}')),
    Case("payload is UTF-16", "token-json", with_payload(_TEXT.encode("utf-16"))),
    Case("byte order mark", "token-json", with_payload(b"\xef\xbb\xbf" + _TEXT.encode())),
    Case("text after the object", "token-json", with_payload(_TEXT + "x")),
    Case("two objects", "token-json", with_payload(_TEXT + "{}")),
    Case("header is no JSON", "token-json", signed(b"{", _json(CLAIMS))),
    Case("4,000 digits", "token-too-long", with_payload(_TEXT.replace('"ver":3', f'"ver":{"9" * 4_000}'))),
    Case("claim twice", "token-duplicate-key", with_payload(_TEXT[:-1] + ',"ver":4}')),
    Case("claim twice, escaped once", "token-duplicate-key", with_payload(_TEXT[:-1] + ',"v\\u0065r":4}')),
    Case("header field twice", "token-duplicate-key", signed(_json(HEADER)[:-1] + b',"alg":"EdDSA"}', _json(CLAIMS))),
    Case("header field too many", "token-header", with_header({"jku": "https://evil.example"})),
    Case("key in the header", "token-header", with_header({"jwk": "x"})),
    Case("critical extension", "token-header", with_header({"crit": ["b64"], "b64": False})),
    Case("no kid", "token-header", with_header(drop="kid")),
    Case("no typ", "token-header", with_header(drop="typ")),
    Case("kid is a number", "token-header", with_header({"kid": 1})),
    Case("alg is a list", "token-header", with_header({"alg": ["EdDSA"]})),
    Case("typ JWT", "token-typ", with_header({"typ": "JWT"})),
    Case("typ of a receipt", "token-typ", with_header({"typ": "consent-receipt+jwt"})),
    Case("typ in capitals", "token-typ", with_header({"typ": "CONSENT+JWT"})),
    Case("none", "token-alg-none", with_header({"alg": "none"})),
    Case("none, in capitals", "token-alg-none", with_header({"alg": "NoNe"})),
    Case("HS256 keyed with the public key", "token-alg", _hmac_with_public_key()),
    Case("RS256", "token-alg", with_header({"alg": "RS256"})),
    Case("the WIT name of an algorithm", "token-alg", with_header({"alg": "ed25519"})),
    Case("unknown kid", "token-kid", with_header({"kid": "ed-2"})),
    Case("no keys at all", "token-kid", _GOOD, keys=()),
    Case("kid as a path", "token-kid", with_header({"kid": "../../etc/passwd"})),
    Case("key is for another algorithm", "token-key-mismatch", signed(_json(HEADER | {"alg": "ES256"}), _json(CLAIMS))),
    Case("other key of the same kid", "token-key-mismatch", issued(), keys=(Key("ed-1", "es256", ES256_PUBLIC),)),
    Case("signature of zeros", "token-signature", with_signature(lambda _: bytes(64))),
    Case("first bit of the signature", "token-signature", with_signature(_flip(0))),
    Case("last bit of the signature", "token-signature", with_signature(_flip(63, 128))),
    Case("signature cut short", "token-signature", with_signature(lambda data: data[:63])),
    Case("signature too long", "token-signature", with_signature(lambda data: data + b"\0")),
    Case("second spelling of S", "token-signature", with_signature(_plus_order)),
    Case("R is the neutral element", "token-signature", with_signature(lambda data: b"\1" + bytes(31) + data[32:])),
    Case("signature of other claims", "token-signature", f"{_HEAD}.{issued({'ver': 9}).split('.')[1]}.{_SIGNATURE}"),
    Case("signature of another header", "token-signature", f"{b64(_json(HEADER) + b' ')}.{_BODY}.{_SIGNATURE}"),
    *(
        Case(
            f"a key of order {order}",
            "token-signature",
            with_signature(lambda _: b"\1" + bytes(63)),
            (Key("ed-1", "ed25519", point),),
        )
        for order, point in SMALL_ORDER
    ),
    Case("key cut short", "token-signature", _GOOD, keys=(Key("ed-1", "ed25519", ED25519_PUBLIC[:31]),)),
    Case("ES256: zeros", "token-signature", with_signature(lambda _: bytes(64), issued(algorithm="ES256"))),
    Case(
        "ES256: r and s swapped",
        "token-signature",
        with_signature(lambda data: data[32:] + data[:32], issued(algorithm="ES256")),
    ),
    Case("ES256: one bit", "token-signature", with_signature(_flip(40), issued(algorithm="ES256"))),
    Case(
        "ES256: DER",
        "token-signature",
        signed(_json(ES_HEADER), _json(CLAIMS), lambda message: ES256.sign(message, ECDSA(SHA256()))),
    ),
    Case(
        "ES256: point off the curve",
        "token-signature",
        issued(algorithm="ES256"),
        keys=(Key("es-1", "es256", ES256_PUBLIC[:-1] + b"\0"),),
    ),
    Case(
        "ES256: compressed point",
        "token-signature",
        issued(algorithm="ES256"),
        keys=(Key("es-1", "es256", b"\2" + ES256_PUBLIC[1:33]),),
    ),
    Case("claim too many", "token-claim-unknown", with_claims({"admin": True})),
    Case("nbf, which is not agreed", "token-claim-unknown", with_claims({"nbf": NOW})),
    *(Case(f"no {name}", "token-claim-missing", with_claims(drop=name)) for name in CLAIMS),
    Case("no claims", "token-claim-missing", with_payload("{}")),
    Case("iss is empty", "token-claim-type", with_claims({"iss": ""})),
    Case("iss is a number", "token-claim-type", with_claims({"iss": 1})),
    Case("aud is a list", "token-claim-type", with_claims({"aud": ["edge"]})),
    Case("sub is an e-mail address", "token-claim-type", with_claims({"sub": "someone@example.org"})),
    Case("sub has unused bits set", "token-claim-type", with_claims({"sub": "AAECAwQFBgcICQoLDA0OD1"})),
    Case("sub is too short", "token-claim-type", with_claims({"sub": "AAECAwQFBgcICQoLDA0O"})),
    Case("iat is true", "token-claim-type", with_claims({"iat": True})),
    Case("iat is a float", "token-claim-type", with_claims({"iat": NOW + 0.5})),
    Case(
        "iat is a float that is whole", "token-claim-type", with_payload(_TEXT.replace(f"{NOW - 10}", f"{NOW - 10}.0"))
    ),
    Case("iat is an exponent", "token-claim-type", with_payload(_TEXT.replace(f"{NOW - 10}", "18e8"))),
    Case("exp is a text", "token-claim-type", with_claims({"exp": str(NOW)})),
    Case("exp is NaN", "token-claim-type", with_payload(_TEXT.replace(f"{NOW + 290}", "NaN"))),
    Case("exp is Infinity", "token-claim-type", with_payload(_TEXT.replace(f"{NOW + 290}", "Infinity"))),
    Case("iat is negative", "token-claim-type", with_claims({"iat": -1})),
    Case("ver beyond what JSON numbers hold", "token-claim-type", with_claims({"ver": 2**53})),
    Case("ver with 1,000 digits", "token-claim-type", with_payload(_TEXT.replace('"ver":3', f'"ver":{"9" * 1_000}'))),
    Case("ver is null", "token-claim-type", with_claims({"ver": None})),
    Case("jti is empty", "token-claim-type", with_claims({"jti": ""})),
    Case("jti has a newline", "token-claim-type", with_claims({"jti": "a\n"})),
    Case("scopes is a text", "token-claim-type", with_claims({"scopes": "contextual"})),
    Case("unknown scope", "token-claim-type", with_claims({"scopes": ["contextual", "everything"]})),
    Case("scope twice", "token-claim-type", with_claims({"scopes": ["contextual", "contextual"]})),
    Case("scope in capitals", "token-claim-type", with_claims({"scopes": ["Contextual"]})),
    Case("a list in scopes", "token-claim-type", with_claims({"scopes": [["contextual"]]})),
    Case("region is a path", "token-claim-type", with_claims({"region": "../tokyo-1"})),
    Case("region in capitals", "token-claim-type", with_claims({"region": "Tokyo-1"})),
    Case("hash of another kind", "token-claim-type", with_claims({"hash": "md5:" + "0" * 32})),
    Case("hash in capitals", "token-claim-type", with_claims({"hash": "sha256:" + "AB" * 32})),
    Case("milliseconds", "token-milliseconds", with_claims({"iat": NOW * 1000, "exp": (NOW + 290) * 1000})),
    Case("exp in milliseconds", "token-milliseconds", with_claims({"exp": NOW * 1000})),
    Case("301 seconds", "token-lifetime", with_claims({"exp": NOW + 291})),
    Case("no lifetime", "token-lifetime", with_claims({"exp": NOW - 10})),
    Case("ends before it starts", "token-lifetime", with_claims({"iat": NOW + 10, "exp": NOW + 5})),
    Case("another issuer", "token-issuer", with_claims({"iss": "ui-tools/consent-edge.evil"})),
    Case("issuer in capitals", "token-issuer", with_claims({"iss": "UI-TOOLS/consent-edge"})),
    Case("another audience", "token-audience", with_claims({"aud": "control-plane"})),
    Case("six seconds early", "token-not-yet-valid", with_claims({"iat": NOW + 6, "exp": NOW + 200})),
    Case("expired this second", "token-expired", with_claims({"iat": NOW - 300, "exp": NOW})),
    Case("expired, and leeway does not help", "token-expired", with_claims({"iat": NOW - 300, "exp": NOW - 1})),
    Case("expired yesterday", "token-expired", _GOOD, expected=EXPECTED._replace(now=NOW + 86_400)),
)
