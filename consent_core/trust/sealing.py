"""Answers that only the asker opens: sealed to the public half of a secret that was shown once.

    secret = new_secret()                                 # 43 characters, shown once: a page calls it the code
    sealed = seal(public_of(secret), b"…", "pack")        # who holds only this reads nothing
    unseal(secret, sealed, "pack")

HPKE, base mode (RFC 9180): X25519, HKDF-SHA-256, AES-256-GCM. Wire format: `docs/formats/sealed-answer.md`. A control
plane keeps the public half alone, so neither it nor a POP on the way can open what it carries.
"""

import re
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.token import decode_base64url, encode_base64url

SECRET_BYTES = 32
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
OVERHEAD_BYTES = 48  # the encapsulated key and the tag

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"consent-edge/sealed-answer/v1\0"


def new_secret() -> str:
    """256 random bits as base64url."""
    return encode_base64url(secrets.token_bytes(SECRET_BYTES))


def public_of(secret: str) -> bytes:
    """The public half, 32 bytes. Raises: Rejected("request-secret", 403) for a text of another form."""
    return _private(secret).public_key().public_bytes_raw()


def seal(public: bytes, data: bytes, what: str) -> bytes:
    """`data` for the holder of the secret alone. `what` is authenticated: a pack does not pass for an answer."""
    return _SUITE.encrypt(data, X25519PublicKey.from_public_bytes(public), info=_INFO + what.encode("ascii"))


def unseal(secret: str, sealed: bytes, what: str) -> bytes:
    """What was sealed. Raises: Untrusted("sealed-answer") for another secret, altered bytes, or another thing."""
    try:
        return _SUITE.decrypt(sealed, _private(secret), info=_INFO + what.encode("ascii"))
    except (InvalidTag, ValueError) as error:
        raise Untrusted("sealed-answer", "not sealed to this secret, or altered on the way") from error


def _private(secret: str) -> X25519PrivateKey:
    if not SECRET.fullmatch(secret):
        raise Rejected(
            "request-secret", "expected the 43 characters that were shown when the request was made", status=403
        )
    try:
        return X25519PrivateKey.from_private_bytes(decode_base64url(secret))
    except Rejected as error:
        raise Rejected("request-secret", "not the one spelling of a secret", status=403) from error
