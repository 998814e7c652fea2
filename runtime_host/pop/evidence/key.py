"""This POP's attester key: made here at the first start, never sent anywhere.

Trust: *secret*. Who has the file can lie for this one POP, until its key is revoked.
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.formats.endorsement import attester_kid
from runtime_host.pop.config import load_secret

FILE = "attester.key"


class AttesterKey:
    """An Ed25519 key by its name."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        self.kid = attester_kid(self.public_key)

    @classmethod
    def open(cls, home: Path) -> "AttesterKey":
        """The key of a POP's directory, made if there is none. Raises: ValueError for a damaged file."""
        return cls(Ed25519PrivateKey.from_private_bytes(load_secret(home / FILE)))

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"AttesterKey({self.kid})"
