"""This POP's attester key: made here at the first start, never sent anywhere. Beside it its endorsement, for workers.

Trust: *secret*. Who has the key file can lie for this one POP, until its key is revoked. The endorsement is *not
trusted*: readers verify it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.endorsement import MAX_ENDORSEMENT_BYTES, attester_kid
from consent_core.trust.files import load_secret

FILE = "attester.key"
ENDORSEMENT_FILE = "attester.endorsement.json"


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

    def keep_endorsement(self, home: Path, envelope: Mapping[str, Any]) -> None:
        """Write what the control plane answered, so that every process of this POP can hand it out.

        Raises: Unavailable("endorsement-unwritable").
        """
        staged = home / f"{ENDORSEMENT_FILE}.tmp"
        try:
            staged.write_bytes(canonical_json(dict(envelope)))
            staged.replace(home / ENDORSEMENT_FILE)
        except OSError as error:
            raise Unavailable("endorsement-unwritable", f"{ENDORSEMENT_FILE}: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"AttesterKey({self.kid})"


def endorsement_in(home: Path) -> Mapping[str, Any] | None:
    """The endorsement of this POP's key as it was written last; None before the first, or if it cannot be read."""
    try:
        return read_json_object((home / ENDORSEMENT_FILE).read_bytes(), MAX_ENDORSEMENT_BYTES)
    except (OSError, Untrusted):
        return None
