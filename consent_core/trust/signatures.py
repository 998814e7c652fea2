"""Signature checks with `cryptography`: the native twin of the verifier component."""

from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from consent_core.errors import Rejected

SIGNATURE_BYTES = 64
KEY_BYTES = {"ed25519": 32, "es256": 65}

_Check = Callable[[bytes, bytes], None]

# y of the points whose order divides 8. Such a key "verifies" signatures that no holder of a key made, and OpenSSL
# accepts it. Source: RFC 8032 section 5.1 for the curve; the verifier component refuses the same keys.
_P = 2**255 - 19
_Y8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


def verify_signature(algorithm: str, key: bytes, message: bytes, signature: bytes) -> None:
    """Return if `key` (32 raw bytes, or 65 of SEC 1) made `signature` (64 raw bytes) over `message`.

    Raises: Rejected("token-signature"), also for a key that is no point of its curve.
    Source: RFC 8032 section 5.1.7; RFC 7518 section 3.4.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise Rejected("token-signature", f"expected {SIGNATURE_BYTES} bytes, got {len(signature)}", status=401)
    try:
        _check(algorithm, key)(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Rejected("token-signature", "the signature does not verify", status=401) from error


@lru_cache(maxsize=256)
def _check(algorithm: str, key: bytes) -> _Check:
    """The check by one public key, which is decoded once."""
    if algorithm == "ed25519":
        if int.from_bytes(key, "little") % 2**255 % _P in _SMALL_ORDER_Y:
            raise ValueError("an ed25519 key of small order")
        return Ed25519PublicKey.from_public_bytes(key).verify
    if algorithm == "es256" and len(key) == KEY_BYTES["es256"]:
        return _es256(EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key))
    raise ValueError(f"no {algorithm} key of {len(key)} bytes")


def _es256(public: EllipticCurvePublicKey) -> _Check:
    def check(signature: bytes, message: bytes) -> None:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        public.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))

    return check
