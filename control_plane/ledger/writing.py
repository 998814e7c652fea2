"""A transaction that changes the ledger's own database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from control_plane.store.database import Database

WRITER_LOCK = 0x1ED_6E12  # PostgreSQL advisory lock of who writes


@contextmanager
def writing(database: Database) -> Iterator[Connection]:
    """One transaction; PostgreSQL has one writer at a time by a lock, as SQLite has by itself."""
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
        yield connection
