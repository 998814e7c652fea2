"""The schema of `pop.db` as numbered steps: one file `NNNN_<what>.sql` leads from version NNNN - 1 to version NNNN.

    migrate(connection)      # inside a transaction: every step that is missing, or none

A step that was released never changes: a file in the field is at any version there ever was. Each step may name rows,
so that what a visitor said before an upgrade counts after it. `docs/stores.md` says what each version added.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from consent_core.crash import crash_point
from consent_core.errors import Unavailable

Step = tuple[str, ...]  # statements, in order


def read_steps(directory: Path) -> tuple[Step, ...]:
    """The steps in a directory, by number. Raises: ValueError if a number is missing or doubled."""
    paths = sorted(directory.glob("*.sql"))
    for number, path in enumerate(paths, 1):
        if not path.name.startswith(f"{number:04}_"):
            raise ValueError(f"expected step {number:04}, found {path.name}")
    return tuple(tuple(_statements(path.read_text(encoding="utf-8"))) for path in paths)


def migrate(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Take the steps that this file lacks, in the transaction that the caller has open.

    Raises: Unavailable("store-version") for a file that a later program wrote.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise Unavailable("store-version", f"pop.db has version {version}, this program knows {len(steps)}")
    for number, step in enumerate(steps[version:], version + 1):
        for statement in step:
            connection.execute(statement)
            crash_point("store-statement")
        connection.execute(f"PRAGMA user_version={number}")


def _statements(text: str) -> Iterator[str]:
    """The statements of a script. `executescript` would commit before the first."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


STEPS = read_steps(Path(__file__).parent)
