"""OpenBao or Vault as key provider: the Transit secrets engine, with the context as associated data.

    TransitProvider("https://bao.internal:8200", token, "consent-edge")

The server needs `transit` mounted and a token that may create, use and rotate the key (aes256-gcm96), which never
leaves it.
Source: openbao.org/api-docs/secret/transit.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidRequest, VaultError

from consent_core.errors import Unavailable, Untrusted

TIMEOUT_S = 5


class TransitProvider:
    """One Transit key, named `key`, on the server at `url`."""

    def __init__(self, url: str, token: str, key: str, mount_point: str = "transit") -> None:
        self._transit = hvac.Client(url=url, token=token, timeout=TIMEOUT_S).secrets.transit
        self._where = {"name": key, "mount_point": mount_point}
        self._call(self._transit.create_key, key_type="aes256-gcm96")

    def wrap(self, key: bytes, context: str) -> str:
        """`vault:v<version>:<base64>`, as the server spells it."""
        return self._wrapped(key, context)

    def unwrap(self, wrapped: str, context: str) -> bytes:
        """The key in a text that the server made."""
        try:
            answer = self._call(
                self._transit.decrypt_data, ciphertext=wrapped, associated_data=_encode(context.encode())
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)
        except (InvalidRequest, binascii.Error) as error:
            raise Untrusted("key-unwrap", "not wrapped by this Transit key for this use") from error

    def rewrap(self, wrapped: str, context: str) -> str:
        """The same key under the newest version. Transit's own rewrap knows no associated data."""
        return self._wrapped(self.unwrap(wrapped, context), context)

    def rotate(self) -> None:
        """Add a version on the server."""
        self._call(self._transit.rotate_key)

    def _wrapped(self, key: bytes, context: str) -> str:
        answer = self._call(
            self._transit.encrypt_data, plaintext=_encode(key), associated_data=_encode(context.encode())
        )
        return str(answer["data"]["ciphertext"])

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return method(**self._where, **arguments)
        except InvalidRequest:
            raise
        except (VaultError, requests.RequestException) as error:
            raise Unavailable("key-provider", f"OpenBao did not answer: {type(error).__name__}") from error


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
