"""One SQLite file and its transactions. Its schema is `migrations`; what the tables mean is said in their own modules.

Write-ahead log and a connection for reading, so that readers never wait for a writer: not for its fsync, and not for
another process that holds the lock. `writer` carries out changes for the event loop. A transaction is durable
(`synchronous=FULL`: on the disk before it returns) where a promise was given to somebody, and otherwise only safe
against a killed process. Deleted content is overwritten (`secure_delete`). Several processes may open the file:
writers take the lock at `BEGIN IMMEDIATE`.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from consent_core.errors import Unavailable
from runtime_host.pop.stores.faults import FaultLog, next_step, trial
from runtime_host.pop.stores.migrations import STEPS, Step, migrate
from runtime_host.pop.stores.writer import Writer

BUSY_MS = 5_000  # how long a second writer waits for the first


class Database:
    """An open file. `_after`, `_depth` and `_owner` are owned by the running transaction, under `_lock`.

    `_connection` writes; the thread that is in a transaction also reads by it. `_reader` is everybody else's.
    """

    def __init__(self, path: Path | str, steps: Sequence[Step] = STEPS) -> None:
        self._lock, self._reading = threading.RLock(), threading.Lock()
        self._owner: int | None = None
        self.writer = Writer(self)
        self._path = path
        self.faults = FaultLog()
        self._depth = 0
        self._durable = False
        self._after: list[Callable[[], None]] = []
        with self._io():
            self._connection = _connect(path)
            self._migrate(steps)
            self._reader = _connect(path)

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
            self._owner = threading.get_ident()
            try:
                with self._io():
                    self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    with self._begun():
                        yield
            finally:
                self._depth, self._owner = 0, None
            self.faults.clear()
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
        with self._read() as connection:
            return connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if there is one."""
        with self._read() as connection:
            row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
            return row

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it, so that deleted content leaves the disk.

        Returns: whether it is empty; it is not while another process of this POP reads.
        """
        with self._lock, self._io():
            row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return row is not None and row[0] == 0

    def try_write(self) -> None:
        """Write something and take it back, on another connection: no request waits for it. Raises: Unavailable."""
        trial(Path(self._path), self.faults)

    def close(self) -> None:
        """Carry out what waits for the writer, and close the file."""
        self.writer.close()
        with self._lock, self._reading:
            self._reader.close()
            self._connection.close()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: if this part raises, it alone is undone, and nothing is called for it."""
        kept = len(self._after)
        with self._io():
            self._connection.execute("SAVEPOINT part")
            try:
                yield
            except BaseException:
                del self._after[kept:]
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
                raise
            self._connection.execute("RELEASE part")

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Inside a transaction its own connection, which sees what it changed; else the one for reading."""
        if self._owner == threading.get_ident():
            with self._io():
                yield self._connection
        else:
            with self._reading, self._io():
                yield self._reader

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

    @contextlib.contextmanager
    def _io(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self.faults.note(error)
            reason = error.args[0] if error.args else error
            raise Unavailable("store-io", f"the POP's database refused: {reason}{next_step(error)}") from error

    def _migrate(self, steps: Sequence[Step]) -> None:
        """Bring an empty or older file to this program's version, wholly or not at all."""
        with self.transaction():
            migrate(self._connection, steps)


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.execute("PRAGMA secure_delete=ON").fetchone()
    return connection
