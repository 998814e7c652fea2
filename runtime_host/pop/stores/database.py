"""One SQLite file, its schema and its transactions. What the tables mean is said in their own modules.

Write-ahead log, so that readers never wait. A transaction is durable (`synchronous=FULL`: on the disk before it
returns) where a promise was given to somebody, and otherwise only safe against a killed process. Deleted content
is overwritten (`secure_delete`). Several processes may open the file: writers take the lock at `BEGIN IMMEDIATE`.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from consent_core.errors import Unavailable

VERSION = 1
BUSY_MS = 5_000  # how long a second writer waits for the first

SCHEMA = """
CREATE TABLE history (
  id INTEGER PRIMARY KEY, subject TEXT NOT NULL, ver INTEGER NOT NULL, category TEXT NOT NULL, kind TEXT NOT NULL,
  item TEXT NOT NULL, tags TEXT NOT NULL, day TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX history_by_subject ON history (subject, category, id);
CREATE INDEX history_by_age ON history (category, at);
CREATE TABLE totals (
  day TEXT NOT NULL, kind TEXT NOT NULL, item TEXT NOT NULL, tags TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (day, kind, item, tags)) WITHOUT ROWID;
CREATE TABLE tombstones (subject TEXT PRIMARY KEY, at INTEGER NOT NULL, seq INTEGER) WITHOUT ROWID;
CREATE TABLE sessions (
  session TEXT PRIMARY KEY, subject TEXT NOT NULL, ver INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject);
CREATE TABLE denials (
  subject TEXT NOT NULL, category TEXT NOT NULL, source TEXT NOT NULL, below INTEGER NOT NULL, until INTEGER,
  PRIMARY KEY (subject, category, source)) WITHOUT ROWID;
CREATE TABLE revoked (kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, name))
  WITHOUT ROWID;
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT, position INTEGER NOT NULL, head INTEGER NOT NULL,
  at INTEGER NOT NULL);
INSERT INTO log VALUES (1, NULL, 0, 0, 0);
CREATE TABLE policies (hash TEXT PRIMARY KEY, revision INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE demanded (id INTEGER PRIMARY KEY CHECK (id = 1), hash TEXT, seq INTEGER NOT NULL);
INSERT INTO demanded VALUES (1, NULL, 0);
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, session TEXT NOT NULL, subject TEXT, below INTEGER NOT NULL,
  categories TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending', code TEXT, closed_at INTEGER);
CREATE TABLE queue (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL,
  done_at INTEGER, UNIQUE (topic, key));
CREATE INDEX queue_open ON queue (topic, id) WHERE done_at IS NULL;
"""


class Database:
    """An open file. `_after` and `_depth` are owned by the running transaction, under `_lock` (held throughout it)."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._durable = False
        self._after: list[Callable[[], None]] = []
        with _io():
            self._connection = _connect(path)
        self._migrate()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing. Inside another transaction it joins that one.

        Raises: Unavailable("store-io") if the disk refuses.
        """
        with self._lock:
            if self._depth:
                if durable and not self._durable:
                    raise RuntimeError("a durable transaction cannot join one that is not")
                yield
                return
            self._depth, self._durable, self._after = 1, durable, []
            try:
                with _io():
                    self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    with self._begun():
                        yield
            finally:
                self._depth = 0
            for callback in self._after:
                callback()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run `callback` once the open transaction is on disk; never if it is undone."""
        if not self._depth:
            raise RuntimeError("no transaction is open")
        self._after.append(callback)

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Execute one changing statement inside a transaction; how many rows it changed."""
        if not self._depth:
            raise RuntimeError("changes need a transaction")
        return self._connection.execute(statement, values).rowcount

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises: Unavailable("store-io")."""
        with self._lock, _io():
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if there is one."""
        with self._lock, _io():
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
            return row

    def changed_elsewhere(self) -> int:
        """A number that is another one after a different process has committed (SQLite's `data_version`)."""
        row = self.row("PRAGMA data_version")
        assert row is not None
        return int(row[0])

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file and empty it, so that deleted content leaves the disk."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _begun(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _migrate(self) -> None:
        """Create an empty file's tables; refuse a file that a later version wrote."""
        with self.transaction():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise Unavailable("store-version", f"pop.db has version {version}, this program knows {VERSION}")
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={VERSION}")


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.execute("PRAGMA secure_delete=ON").fetchone()
    return connection


@contextlib.contextmanager
def _io() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            "store-io", f"the POP's database refused: {error.args[0] if error.args else error}"
        ) from error
