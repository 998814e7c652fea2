"""A consistent copy of the store while it runs, and the way back.

    back_up(database, Path("backups/monday"), now)          # a directory that does not exist yet
    put_back(Path("backups/monday"), url, now)              # the store's place; what was there is kept beside it

SQLite is copied page by page with its own backup API, under one read lock: writers go on. PostgreSQL is read table by
table with COPY in one REPEATABLE READ snapshot: no program of the server's own version is needed, and a table that a
later step adds needs no change here. `backup.json` names the step, the log's head, and the SHA-256 of each file.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Table, select, text

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from control_plane.store.database import Database
from control_plane.store.migrations import migrate_to
from control_plane.store.schema import log_head

MANIFEST, SQLITE_FILE = "backup.json", "consent.db"
MAX_MANIFEST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself. `files`: name to SHA-256. `columns`: of each table, for PostgreSQL."""

    made_at: int
    database: str
    step: str
    origin: str
    head: int
    chain: str
    files: dict[str, str]
    columns: dict[str, list[str]]


def back_up(database: Database, directory: Path, now: int) -> Backup:
    """Copy the store into a new directory. Raises: Rejected("backup-exists"), Unavailable("store-unavailable")."""
    if directory.exists():
        raise Rejected("backup-exists", f"{directory} exists", status=409)
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    made = _copy_sqlite(database, part, now) if database.is_sqlite else _copy_tables(database, part, now)
    _write(part / MANIFEST, json.dumps(asdict(made), indent=1, sort_keys=True).encode())
    part.rename(directory)
    return made


def read_backup(directory: Path) -> Backup:
    """What is in a directory, every file held against its digest. Raises: Untrusted("backup-damaged")."""
    try:
        backup = Backup(**read_json_object((directory / MANIFEST).read_bytes(), MAX_MANIFEST_BYTES))
        found = {name: _digest(directory / name) for name in backup.files}
    except (OSError, TypeError) as error:
        raise Untrusted("backup-damaged", f"{directory}: no whole backup") from error
    if found != backup.files:
        raise Untrusted("backup-damaged", f"{directory}: a file is not what was backed up")
    return backup


def put_back(directory: Path, url: str, now: int) -> Database:
    """Make the backup the store, brought to this build's tables.

    Raises: Untrusted("backup-damaged"), Rejected("backup-other-database" | "restore-not-empty").
    """
    backup = read_backup(directory)
    database = Database(Database.engine_of(url))
    if backup.database != database.engine.dialect.name:
        raise Rejected("backup-other-database", f"a backup of {backup.database}")
    if database.is_sqlite:
        _replace_file(directory / SQLITE_FILE, Path(database.engine.url.database or ""), now)
    else:
        _load_tables(database, directory, backup)
    database.close()
    return Database.open(url)


def _copy_sqlite(database: Database, part: Path, now: int) -> Backup:
    target = part / SQLITE_FILE
    target.touch(mode=0o600)
    with closing(sqlite3.connect(database.engine.url.database or "")) as source, closing(sqlite3.connect(target)) as to:
        source.backup(to)
        to.execute("PRAGMA journal_mode=DELETE")
        head = to.execute("SELECT origin, head, chain FROM log_head").fetchone()
        (step,) = to.execute("SELECT version_num FROM alembic_version").fetchone()
    _sync(target)
    origin, number, chain = head
    return Backup(now, "sqlite", step, origin, number, chain, {SQLITE_FILE: _digest(target)}, {})


def _copy_tables(database: Database, part: Path, now: int) -> Backup:
    with database.read() as connection:
        tables = _tables(connection)
        for table in tables:
            target = part / f"{table.name}.copy"
            target.touch(mode=0o600)
            with target.open("wb") as file:
                for data in _copied(connection, table):
                    file.write(data)
            _sync(target)
        columns = {table.name: [column.name for column in table.columns] for table in tables}
        files = {f"{table.name}.copy": _digest(part / f"{table.name}.copy") for table in tables}
        head = connection.execute(select(log_head.c.origin, log_head.c.head, log_head.c.chain)).one()
        step = connection.scalar(text("SELECT version_num FROM alembic_version")) or ""
    return Backup(now, "postgresql", step, head.origin, head.head, head.chain, files, columns)


def _copied(connection: Connection, table: Table) -> Iterator[bytes]:
    with (
        _cursor(connection) as cursor,
        cursor.copy(f"COPY {_listed(table.name, table.columns.keys())} TO STDOUT") as out,
    ):
        yield from (bytes(data) for data in out)


def _load_tables(database: Database, directory: Path, backup: Backup) -> None:
    """Into an empty database, in one transaction: a reader sees all of it or nothing."""
    with database.write() as connection:
        if _tables(connection):
            raise Rejected("restore-not-empty", "the database has tables; name an empty one", status=409)
        migrate_to(connection, backup.step)
        connection.execute(text("DELETE FROM alembic_version"))
        for table in _tables(connection):
            if table.name in backup.columns:
                _load(connection, table.name, backup.columns[table.name], directory / f"{table.name}.copy")
                _raise_sequences(connection, table)


def _load(connection: Connection, name: str, columns: list[str], path: Path) -> None:
    statement = f"COPY {_listed(name, columns)} FROM STDIN"
    with _cursor(connection) as cursor, cursor.copy(statement) as into, path.open("rb") as file:
        while data := file.read(1 << 16):
            into.write(data)


def _raise_sequences(connection: Connection, table: Table) -> None:
    for column in table.primary_key.columns:
        query = text("SELECT pg_get_serial_sequence(:table, :column)")
        sequence = connection.scalar(query, {"table": table.name, "column": column.name})
        highest = None if sequence is None else connection.scalar(select(column).order_by(column.desc()).limit(1))
        if highest is not None:
            connection.execute(text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest})


def _replace_file(source: Path, target: Path, now: int) -> None:
    """What is there now is kept beside it: it may hold what no other copy has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        old = target.with_name(target.name + suffix)
        if old.exists():
            old.rename(target.with_name(f"{target.name}.before-{now}{suffix}"))
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    part.chmod(0o600)
    _sync(part)
    part.rename(target)


def _tables(connection: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(connection)
    return list(found.sorted_tables)


def _cursor(connection: Connection) -> Any:
    """psycopg's own cursor: SQLAlchemy knows no COPY."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver.cursor()


def _listed(name: str, columns: list[str]) -> str:
    """A table and its columns, quoted; the names are this program's own or the database's."""
    return f'"{name}" (' + ", ".join(f'"{column}"' for column in columns) + ")"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
    _sync(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
