"""`device.db`: the lease and its clocks in clear, models and history sealed under HKDF(device key, share).

    store = DeviceStore.open(home)
    store.put("history", "1", data, sealing)            # sealing = Sealing.of(device_key, share)
    store.get("history", "1", sealing)
    store.delete()                                      # counted again: {"history": 0, "models": 0, …}

Trust: *trusted with privacy and against rewinding*. Without the share its rows are random bytes, also to who has the
device key; a copy that is put back has an older clock and no share, so nothing of it is read before a fresh lease.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consent_core.errors import Unavailable
from consent_core.formats.lease import Lease
from device_agent.leases import Kept

KINDS = ("models", "history", "telemetry")
NONCE_BYTES = 12
INFO = b"consent-edge/device/v1"

_TABLES = """
CREATE TABLE IF NOT EXISTS kept (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (
  kind TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (kind, name));
"""


@dataclass(frozen=True, slots=True)
class Sealing:
    """The key of one lease's share. It is as secret as the share and lives no longer."""

    cipher: AESGCM

    @classmethod
    def of(cls, device_key: bytes, share: bytes) -> Self:
        """Both halves are needed: 32 bytes of the disk, 32 bytes of memory."""
        return cls(AESGCM(HKDF(SHA256(), 32, salt=share, info=INFO).derive(device_key)))


class DeviceStore:
    """One device's file. One thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create. Raises: Unavailable("store-unavailable")."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            connection.executescript("PRAGMA secure_delete=ON; PRAGMA synchronous=FULL;" + _TABLES)
        except sqlite3.Error as error:
            raise Unavailable("store-unavailable", f"{path.name}: {error}") from error
        path.chmod(0o600)
        return cls(connection)

    def kept(self) -> Kept:
        """What was kept last; `Kept()` of a new file."""
        row = self._connection.execute("SELECT state FROM kept").fetchone()
        return Kept() if row is None else _kept(json.loads(row[0]))

    def keep(self, kept: Kept) -> None:
        """On the disk before this returns."""
        self._connection.execute("REPLACE INTO kept VALUES (1, ?)", (json.dumps(asdict(kept)),))

    def put(self, kind: str, name: str, data: bytes, sealing: Sealing) -> None:
        """Seal and keep. The place is part of what is sealed: rows do not change places."""
        nonce = token_bytes(NONCE_BYTES)
        sealed = nonce + sealing.cipher.encrypt(nonce, data, _place(kind, name))
        self._connection.execute("REPLACE INTO sealed VALUES (?, ?, ?)", (kind, name, sealed))

    def get(self, kind: str, name: str, sealing: Sealing) -> bytes | None:
        """What was put; None for what was not. Raises: Unavailable("device-closed") under another key."""
        query = "SELECT data FROM sealed WHERE kind = ? AND name = ?"
        row = self._connection.execute(query, (kind, name)).fetchone()
        if row is None:
            return None
        try:
            return sealing.cipher.decrypt(row[0][:NONCE_BYTES], row[0][NONCE_BYTES:], _place(kind, name))
        except InvalidTag as error:
            raise Unavailable("device-closed", "sealed under another share") from error

    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        found = dict(self._connection.execute("SELECT kind, count(*) FROM sealed GROUP BY kind"))
        return {kind: found.get(kind, 0) for kind in KINDS}

    def delete(self) -> dict[str, int]:
        """Delete all that was sealed, whichever key opened it; rows by kind before."""
        before = self.counts()
        self._connection.execute("DELETE FROM sealed")
        return before

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _place(kind: str, name: str) -> bytes:
    if kind not in KINDS:
        raise ValueError(f"a device keeps {', '.join(KINDS)}")
    return f"{kind}|{name}".encode()


def _kept(value: Mapping[str, Any]) -> Kept:
    lease = value["lease"]
    held = None if lease is None else Lease(**{**lease, "categories": tuple(lease["categories"])})
    return Kept(**{**value, "lease": held})
