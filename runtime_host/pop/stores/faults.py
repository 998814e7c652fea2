"""What a database that refuses is ill with, and a trial write that finds out whether it is well again.

    FaultLog.note(error)           # at every refusal; `faults()` says what the last one meant until a write succeeds
    try_write(path)                # on a connection of its own: no request waits. Raises: Unavailable("store-io")

A trial takes room and gives it back in one transaction, so a disk without room refuses it. It is undone if the file
belongs to nobody yet.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path

from consent_core.errors import Unavailable

TRIAL_BYTES = 16_384  # four pages
TRIAL_WAIT_S = 2.0  # for the holder of the lock
_CODES = {
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_CORRUPT: "store-corrupt",
    sqlite3.SQLITE_NOTADB: "store-corrupt",
    sqlite3.SQLITE_BUSY: "store-locked",
    sqlite3.SQLITE_LOCKED: "store-locked",
}


def fault_of(error: sqlite3.Error) -> str:
    """The reason (`consent_core.health.reasons`) that a refusal shows."""
    number = getattr(error, "sqlite_errorcode", None)
    return "store-unwritable" if number is None else _CODES.get(number & 0xFF, "store-unwritable")


def next_step(error: sqlite3.Error) -> str:
    """What to do about a refusal that does not end by itself."""
    return "; put pop.db aside and start again (docs/stores.md)" if fault_of(error) == "store-corrupt" else ""


class FaultLog:
    """What the last refusal of one database meant. `_fault` is replaced whole, by whichever thread meets it."""

    def __init__(self) -> None:
        self._fault: tuple[str, str] | None = None
        self._lock = threading.Lock()

    def note(self, error: sqlite3.Error) -> None:
        """A statement was refused."""
        with self._lock:
            self._fault = (fault_of(error), str(error.args[0] if error.args else error))

    def clear(self) -> None:
        """A write is on disk."""
        with self._lock:
            self._fault = None

    def faults(self) -> dict[str, str]:
        """The reason why this database is not well; empty while it is."""
        return {} if self._fault is None else dict([self._fault])


def try_write(path: Path) -> None:
    """Write to this file's database and take it back. Raises: sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=TRIAL_WAIT_S)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO raw (kind, body, at) VALUES ('trial', zeroblob(?), 0)", (TRIAL_BYTES,))
        connection.execute("DELETE FROM raw WHERE kind='trial'")
        connection.execute("COMMIT")


def trial(path: Path, log: FaultLog) -> None:
    """Try, and note what came of it. Raises: Unavailable("store-io")."""
    try:
        try_write(path)
    except sqlite3.Error as error:
        log.note(error)
        raise Unavailable("store-io", f"the POP's database refused: {error}") from error
    log.clear()
