"""A keyring file: AES-256-GCM wrapping keys by version, in one file of mode 0600.

Trust in this store: a process that reads the file can open everything it wraps.
"""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.trust.files import PRIVATE, locked, write_atomically

NONCE_BYTES = 12  # random: a keyring wraps far fewer than the 2^32 keys SP 800-38D section 8.3 allows
MAX_BYTES = 1_048_576


class LocalKeyring:
    """Wrapping keys in `path`, created on first use. Other processes' rotations are seen at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.parent):
            if not path.exists():
                self._write([os.urandom(32)])
        self._read()

    def wrap(self, key: bytes, context: str) -> str:
        """`keyring:v<version>:<base64>`."""
        versions, nonce = self._read(), os.urandom(NONCE_BYTES)
        sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, key, context.encode())
        return f"keyring:v{len(versions)}:{base64.b64encode(sealed).decode('ascii')}"

    def unwrap(self, wrapped: str, context: str) -> bytes:
        """The key in a text that `wrap` made."""
        versions = self._read()
        try:
            name, version, text = wrapped.split(":")
            number = int(version.removeprefix("v"))
            if name != "keyring" or version != f"v{number}" or not 1 <= number <= len(versions):
                raise ValueError("no such version")
            sealed = base64.b64decode(text, validate=True)
            return AESGCM(versions[number - 1]).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (ValueError, InvalidTag) as error:
            raise Untrusted("key-unwrap", "not wrapped by this keyring for this use") from error

    def rewrap(self, wrapped: str, context: str) -> str:
        """The same key under the newest version."""
        return self.wrap(self.unwrap(wrapped, context), context)

    def rotate(self) -> None:
        """Add a version."""
        with locked(self._path.parent):
            self._write([*self._read(), os.urandom(32)])

    def _read(self) -> list[bytes]:
        try:
            value = read_json_object(self._path.read_bytes(), MAX_BYTES)
            versions = [base64.b64decode(text, validate=True) for text in value["versions"]]
        except OSError as error:
            raise Unavailable("key-provider", f"cannot read the keyring: {error.strerror}") from error
        except (ConsentEdgeError, KeyError, TypeError, ValueError) as error:
            raise Unavailable("key-provider", "the keyring is damaged: restore it from its backup") from error
        if not versions or any(len(version) != 32 for version in versions):
            raise Unavailable("key-provider", "the keyring is damaged: restore it from its backup")
        return versions

    def _write(self, versions: list[bytes]) -> None:
        texts = [base64.b64encode(version).decode("ascii") for version in versions]
        write_atomically(self._path, canonical_json({"versions": texts}), PRIVATE)
