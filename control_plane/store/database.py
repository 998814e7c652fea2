"""Transactions over SQLite or PostgreSQL, by one code path.

    database = Database.open("sqlite:///consent.db")
    with database.write() as connection: ...      # all or nothing, on the disk when the block ends
    with database.read() as connection: ...       # one unchanging view

SQLite runs in write-ahead-log mode with `synchronous=FULL`: what was answered is on the disk. Its writers take the
lock at `BEGIN IMMEDIATE`, and queue fairly inside one process. PostgreSQL's writers lock the rows they change.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from consent_core.errors import Unavailable
from consent_core.formats.revocation import GENESIS
from consent_core.formats.token import encode_base64url
from control_plane.store.migrations import migrate
from control_plane.store.schema import VERSION, log_head

BUSY_MS = 5_000  # how long a writer waits for another process's
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NEXT = "start the database, or look at --database and at the folder's owner"
RESTORE = "put the file aside and run edge control-plane restore"
CONNECTIONS = 20  # at once; the web framework's threads are 40
SCHEMA_LOCK = 0x0C0_5E27  # PostgreSQL advisory lock while tables are made or changed


class Database:
    """One store. `_writing` is held by this process's one SQLite writer for the length of its transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()
        self._reader = engine.execution_options(
            **(
                {"reading": True}
                if self.is_sqlite
                else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            )
        )

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open a store and bring it to this build's tables. Safe against another process that starts at the moment.

        Raises: Unavailable("store-unavailable"), Unavailable("store-version") for a store of a later build.
        """
        database = cls(cls.engine_of(url))
        with ExitStack() as unless_open:
            unless_open.callback(database.close)
            with database.write() as connection:
                database._prepare(connection)
            unless_open.pop_all()
        return database

    @staticmethod
    def engine_of(url: str) -> Engine:
        """How this program connects to a store of any version."""
        if not url.startswith("sqlite"):
            return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=CONNECTIONS)
        engine = create_engine(url, pool_size=CONNECTIONS)
        if engine.url.database:
            with suppress(OSError):  # what is wrong with the place, connecting says
                Path(engine.url.database).touch(mode=0o600)  # visitors' records; SQLite gives its log the same mode
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends and leaves nothing behind if it raises."""
        with self._writing, _as_unavailable(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view: no commit of another is half seen."""
        with _as_unavailable(), self._reader.begin() as connection:
            yield connection

    def checkpoint(self) -> bool:
        """Let deleted content leave SQLite's write-ahead log; whether it has. PostgreSQL sees to its own."""
        if not self.is_sqlite:
            return True
        with self._writing, _as_unavailable(), self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            return bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
        migrate(connection)
        version = connection.scalar(select(log_head.c.version))
        if version not in (None, VERSION):
            raise Unavailable("store-unavailable", f"the store has version {version}, this program {VERSION}")
        if version is None:
            origin = encode_base64url(secrets.token_bytes(16))
            row = {
                "id": 1,
                "version": VERSION,
                "origin": origin,
                "head": 0,
                "through": 0,
                "chain": GENESIS,
                "standing": "serving",
            }
            connection.execute(insert(log_head).values(row))


def lock_name(connection: Connection, name: str) -> None:
    """Let no other transaction hold this name before this one ends. SQLite's one writer holds every name."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def _configure_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, never by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """A store that does not answer is our `Unavailable`; a broken constraint stays what it is."""
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        raise Unavailable("store-unavailable", f"the control plane's store did not answer; {NEXT}") from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
            raise Unavailable(
                "store-corrupt", f"the control plane's store is damaged: {error.orig}; {RESTORE}"
            ) from error
        if error.connection_invalidated:
            raise Unavailable("store-unavailable", "the connection to the store broke") from error
        raise
