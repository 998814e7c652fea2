"""The erasure register: who was erased, kept outside every database, so that a restored copy is erased again.

    register.add(subject, request, now)       # on the disk when this returns
    register.subjects()                       # everybody that a copy from before may bring back

One file an entry, sealed under a key of its own that a key provider wraps: without the provider it names nobody. An
entry goes when the newest backup from before it is gone.
Trust in this directory: *trusted to remember*: without it a restored backup brings people back. Back it up by itself,
and never put an older copy of it in place.
"""

import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_core.crash import crash_point
from consent_core.errors import Untrusted
from consent_core.formats.token import encode_base64url
from consent_core.trust.files import PRIVATE, locked, write_atomically
from consent_core.trust.providers import KeyProvider

KEY = "register.key"
CONTEXT = "consent-edge/erasure-register/v1"
NONCE_BYTES = 12
PSEUDONYM_BYTES = 16
PURGE = "purge "  # before the person's name where no request asked for it

_ENTRY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Erasure:
    """One entry: who, for which request, when (Unix seconds). An operator's purge is named `PURGE` and who."""

    subject: str
    request: str
    at: int

    @property
    def is_purge(self) -> bool:
        """Whether an operator erased without a request: the proofs stay until their own end."""
        return self.request.startswith(PURGE)


class Register:
    """The register of one deployment."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._home = directory
        self._cipher = AESGCM(hmac.digest(key, b"seal", "sha256"))
        self._names = hmac.digest(key, b"names", "sha256")

    @classmethod
    def open(cls, directory: Path, provider: KeyProvider) -> "Register":
        """Open or begin the register of a directory. Raises: Untrusted("key-unwrap"), Unavailable("key-provider")."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / KEY
        with locked(directory):
            if not path.exists():
                wrapped = provider.wrap(secrets.token_bytes(32), CONTEXT)
                write_atomically(path, wrapped.encode(), PRIVATE)
        return cls(directory, provider.unwrap(path.read_text(), CONTEXT))

    def pseudonym(self, request: str, subject: str) -> str:
        """What a list of requests calls a person: two requests of one person have nothing in common."""
        tag = hmac.digest(self._names, f"{request}\0{subject}".encode(), "sha256")
        return f"h:{encode_base64url(tag[:PSEUDONYM_BYTES])}"

    def add(self, subject: str, request: str, at: int) -> None:
        """Remember that a person was erased, on the disk when this returns. A request counts once."""
        path = self._path(request)
        if not path.exists():
            crash_point("register-before-file")
            write_atomically(path, self._sealed(Erasure(subject, request, at)), PRIVATE)
            crash_point("register-after-file")

    def add_purge(self, subject: str, at: int) -> None:
        """The same for an operator's purge."""
        self.add(subject, PURGE + subject, at)

    def holds(self, request: str) -> bool:
        """Whether a request came this far."""
        return self._path(request).exists()

    def subjects(self) -> set[str]:
        """Everybody who was erased. Raises: as `entries`."""
        return {entry.subject for entry in self.entries()}

    def entries(self) -> list[Erasure]:
        """All entries, oldest first. Raises: Untrusted("erasure-register") for one that is not of this register."""
        files = (path for path in self._home.iterdir() if _ENTRY.fullmatch(path.name))
        return sorted((self._read(path.read_bytes()) for path in files), key=lambda entry: entry.at)

    def forget(self, before: int) -> int:
        """Drop the entries that no copy is old enough to need; how many."""
        old = [entry for entry in self.entries() if entry.at <= before]
        for entry in old:
            self._path(entry.request).unlink(missing_ok=True)
        return len(old)

    def _path(self, request: str) -> Path:
        """Named by an HMAC, so that the directory lists no request."""
        return self._home / hmac.digest(self._names, request.encode(), "sha256").hex()

    def _sealed(self, entry: Erasure) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        data = json.dumps([entry.subject, entry.request, entry.at]).encode()
        return nonce + self._cipher.encrypt(nonce, data, None)

    def _read(self, data: bytes) -> Erasure:
        try:
            return Erasure(*json.loads(self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)))
        except (InvalidTag, ValueError) as error:
            raise Untrusted("erasure-register", "an entry of the register does not open") from error
