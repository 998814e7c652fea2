"""Numbered steps that bring a store of any earlier build to this build's tables, with alembic.

    with database.write() as connection:          # SQLite's write lock; on PostgreSQL an advisory lock beside it
        migrate(connection)                       # all steps or none: they commit with this transaction

versions/rNNNN_<what>.py   one step each, numbered without a gap; a step that has landed never changes
env.py                     what alembic runs: the steps, on the caller's connection

A store made before there were steps has tables and no number: it is at 0001. A later build's store is refused.
A step may add, fill and drop columns and tables. It may not rebuild `visitors`: on SQLite dropping the old table
deletes every row that refers to it, and that rule cannot be switched off inside a transaction.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from consent_core.crash import crash_point
from consent_core.errors import Unavailable

HOME = Path(__file__).parent
FIRST = "0001"  # the tables as they were before steps had numbers


def revisions() -> tuple[str, ...]:
    """The numbers of all steps, in order."""
    return tuple(sorted(path.name[1:5] for path in (HOME / "versions").glob("r????_*.py")))


def migrate(connection: Connection) -> None:
    """Take the steps that this store lacks, inside the caller's transaction. Raises: Unavailable("store-version")."""
    known, at = revisions(), _revision(connection)
    if at == known[-1]:
        return
    if at is not None and at not in known:
        raise Unavailable("store-version", f"the store is at step {at}, this program knows steps to {known[-1]}")
    from control_plane.store.migrations import alembic_runs  # alembic costs 0.1 s: only who has a step to take pays

    if at is None and inspect(connection).has_table("log_head"):
        alembic_runs.stamp(connection, FIRST)
        crash_point("store.stamped")
    alembic_runs.upgrade(connection)
    crash_point("store.migrated")


def migrate_to(connection: Connection, step: str) -> None:
    """Make the tables of one step in an empty store: a backup of an earlier build is loaded into its own.

    Raises: Unavailable("store-version").
    """
    if step not in revisions():
        raise Unavailable(
            "store-version", f"the backup is at step {step}, this program knows steps to {revisions()[-1]}"
        )
    from control_plane.store.migrations import alembic_runs

    alembic_runs.upgrade(connection, step)


def _revision(connection: Connection) -> str | None:
    """The step this store is at; None if it has no number."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
