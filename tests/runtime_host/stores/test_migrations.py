"""A `pop.db` of any earlier version opens with everything in it, wholly brought up to date or not at all."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Database, PopStore
from runtime_host.pop.stores.migrations import STEPS, read_steps

ROOT = Path(__file__).parents[3]
FIRST = Path(__file__).with_name("version_1.sql")  # written by the program of that version, not by this test
READER, LEAVER, ERASED = (subject_of(letter * 22) for letter in "AEI")
OPEN = (
    "import sys; from pathlib import Path; from consent_core.clock import ManualClock;"
    "from runtime_host.pop.stores import PopStore; PopStore(Path(sys.argv[1]), ManualClock()).close()"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as the first version left it."""
    path = tmp_path / "pop.db"
    connection = sqlite3.connect(path)
    connection.executescript(FIRST.read_text())
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return path


def dump(path: Path) -> tuple[int, list[str]]:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    lines = list(connection.iterdump())
    connection.close()
    return version, lines


def test_a_file_of_version_1_keeps_all_it_held(old: Path) -> None:
    """History, sessions, denials, tombstones and what is still to be forwarded."""
    clock = ManualClock()
    with PopStore(old, clock) as store:
        clock.advance(30)
        assert [row.item for row in store.history.read(READER, "behavioral")] == ["tent-2"]
        assert store.history.read(LEAVER, "behavioral") == ()
        assert {row[0] for row in store.database.rows("SELECT subject FROM sessions")} == {READER, LEAVER}
        assert store.revocations.denied(READER, 3) == {"experimental"}
        assert store.revocations.denied(LEAVER, 2) == {"behavioral"}
        assert store.revocations.denied(ERASED, 2**40) == set(CATEGORIES)
        assert store.revocations.key_revoked("token-old")
        assert [w.key for w in store.outbox.pending()] == ["pending-key-000000001", "pending-key-000000002"]
        assert [code for _, code in store.outbox.refused()] == ["session-unknown"]
        assert [row.topic for row in store.queue.pending("purge-receipt")] == ["purge-receipt"]
        assert (store.log.position.position, store.log.position.head) == (
            0,
            4,
        )  # read again, never back
        newest = store.policies.newest()
        assert newest is not None
        assert newest.revision == 2


def test_it_has_the_tables_of_a_new_file(old: Path, tmp_path: Path) -> None:
    """However old a file is, the program meets one schema."""
    PopStore(old, ManualClock()).close()
    PopStore(tmp_path / "new.db", ManualClock()).close()
    shapes = []
    for path in (old, tmp_path / "new.db"):
        connection = sqlite3.connect(path)
        shapes.append(sorted(row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")))
        connection.close()

    assert shapes[0] == shapes[1]
    assert dump(old)[0] == len(STEPS)


def test_opening_twice_changes_nothing(old: Path) -> None:
    """A step is taken once."""
    PopStore(old, ManualClock()).close()
    once = dump(old)
    PopStore(old, ManualClock()).close()

    assert dump(old) == once


def test_a_file_of_a_later_program_is_refused(tmp_path: Path) -> None:
    """And left as it is: a roll-back of the program must not lose what the newer one wrote."""
    path = tmp_path / "pop.db"
    Database(path, (*STEPS, ("CREATE TABLE tomorrow (x)",))).close()
    before = dump(path)
    with pytest.raises(Unavailable) as refused:
        Database(path)

    assert refused.value.code == "store-version"
    assert dump(path) == before


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path) -> None:
    """The statements before it are undone, and so are the steps before it."""
    before = dump(old)
    with pytest.raises(Unavailable) as refused:
        Database(old, (*STEPS, ("CREATE TABLE tomorrow (x)", "INSERT INTO nowhere VALUES (1)")))

    assert refused.value.code == "store-io"
    assert dump(old) == before


@pytest.mark.parametrize("at", range(1, sum(map(len, STEPS[1:])) + 1))
def test_killed_after_any_statement_nothing_is_half_done(old: Path, at: int) -> None:
    """The next start finds the old file, whole, and brings it up to date."""
    before = dump(old)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONSENT_EDGE_CRASH": f"store-statement:{at}"}
    died = subprocess.run([sys.executable, "-c", OPEN, str(old)], env=environment, check=False)

    assert died.returncode == -9
    assert dump(old) == before
    with PopStore(old, ManualClock()) as store:
        assert len(store.outbox.pending()) == 2


@pytest.mark.parametrize("names", [("0002_a.sql",), ("0001_a.sql", "0003_b.sql"), ("0001_a.sql", "0001_b.sql")])
def test_steps_are_numbered_without_gaps(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Two people who add a step at once notice it at the first start, not in the field."""
    for name in names:
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(ValueError, match="expected step"):
        read_steps(tmp_path)
