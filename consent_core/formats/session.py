"""A session's secret and the two credentials that are made of it: one grants and refreshes, one can only withdraw.

    credentials = credentials_of(cookie_value)
    stored(credentials.grant)                      # what a store holds in its place

    secret   `2.` and 32 random bytes in base64url; only the browser's cookie has it
    grant    base64url(HMAC-SHA256(secret bytes, "consent-edge/session/grant/v1"))
    withdraw the same with "consent-edge/session/withdraw/v1"

Neither credential leads to the other or to the secret. Stores hold SHA-256 of them, so that a reader of the disk can
present neither; a POP's outbox keeps `withdraw` itself, which it must forward, and which can only narrow. A *legacy*
secret is of before there were two: 43 characters without the prefix. Spec: `docs/formats/consent-record.md`.
"""

import hashlib
import hmac
import re
from typing import NamedTuple

from consent_core.errors import Rejected
from consent_core.formats.token import decode_base64url, encode_base64url

PREFIX = "2."
SECRET_BYTES = 32
GRANT = b"consent-edge/session/grant/v1"
WITHDRAW = b"consent-edge/session/withdraw/v1"
CREDENTIAL = re.compile(r"[A-Za-z0-9_-]{43}")


class Credentials(NamedTuple):
    """What is made of one secret. `legacy`: the secret's own text, where it is of the old form."""

    grant: str
    withdraw: str
    legacy: str | None


def write_secret(random: bytes) -> str:
    """The cookie's value for 32 random bytes. Raises: ValueError for another number."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"expected {SECRET_BYTES} bytes")
    return PREFIX + encode_base64url(random)


def credentials_of(secret: bytes) -> Credentials:
    """The credentials of a cookie's value as received.

    A value of neither form belongs to no visitor: it is treated as a legacy secret over its own bytes, which no store
    knows.
    """
    text = secret.decode("latin-1")
    key = _decoded(text.removeprefix(PREFIX)) or secret
    legacy = None if text.startswith(PREFIX) else text
    return Credentials(_derive(key, GRANT), _derive(key, WITHDRAW), legacy)


def stored(credential: str) -> str:
    """What a store holds in place of a credential: SHA-256 of its characters, hex."""
    return hashlib.sha256(credential.encode("latin-1")).hexdigest()


def _derive(key: bytes, purpose: bytes) -> str:
    return encode_base64url(hmac.digest(key, purpose, hashlib.sha256))


def _decoded(text: str) -> bytes | None:
    try:
        value = decode_base64url(text)
    except (Rejected, ValueError):
        return None
    return value if len(value) == SECRET_BYTES else None
