"""Killed at every named line of a beat: nothing lost, nothing doubled, and what was published only grew."""

import multiprocessing
import re
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_core.clock import ManualClock
from consent_core.crash import arm
from consent_core.formats.leaf import read_leaf
from consent_core.formats.note import Checkpoint
from consent_core.formats.tlog import EMPTY_ROOT
from consent_core.resources import ROOT
from consent_core.trust.keys import KeyStore
from control_plane.ledger.ledger import Ledger, LedgerSettings
from control_plane.store.database import Database
from tests.control_plane.ledger.worlds import World, person

BEATS, EACH = 5, 100  # 128 leaves a beat: tiles fill up on the way
POINTS = [
    "ledger-put",
    "ledger-signed",
    "ledger-begun",
    "ledger-before-commit",
    "ledger-committed",
    "ledger-tile",
    "ledger-applied",
    "ledger-cosigned",
    "ledger-published",
]
NEWEST = "SELECT leaf FROM ledger_outbox ORDER BY id DESC LIMIT 1"
OUTBOX_POINTS = ["ledger-outbox", "ledger-copied", "ledger-forgotten"]
ARCHIVE_POINTS = ["archive-tile", "archive-checkpoint"]  # tried beside the archive
CASES = [f"{point}:{nth}" for point in POINTS for nth in (1, 4)] + ["ledger-tile:2", "ledger-tile:11"]


def names(beat: int) -> list[str]:
    return [f"{beat}-{i}" for i in range(EACH)]


def write_all(world: World) -> None:
    world.sequencer.recover()
    for beat in range(BEATS):
        world.beat(*names(beat))


def _until(point: str, directory: Path) -> None:
    world = World(directory)
    arm(point)
    write_all(world)


def died(target: Callable[..., None], *arguments: object) -> bool:
    """Run it in a child process; whether a crash point killed it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=target, args=arguments)
    child.start()
    child.join(600)
    return child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("case", CASES)
def test_killed_at_every_named_line(tmp_path: Path, case: str) -> None:
    """After the restart the writer repeats everything: each leaf once, each published tree begins the next."""
    assert died(_until, case, tmp_path)

    world = World(tmp_path, seed=1_000_000)
    before = world.public.published() or Checkpoint("", 0, EMPTY_ROOT)
    world.sequencer.recover()
    world.sequencer.beat()
    world.require_grown_from(before)
    recovered = world.published().checkpoint
    write_all(world)

    entries = world.entries()
    assert len(entries) == len(set(entries))
    assert {person(name) for beat in range(BEATS) for name in names(beat)} < set(entries)
    world.require_grown_from(recovered)
    world.close()


class NoProofs:
    """Keeps nothing: these tests open no leaf."""

    def keep(self, connection, openings):
        """Let body and salt go."""


def open_ledger(data: Path) -> tuple[Database, Ledger]:
    clock = ManualClock()
    database = Database.open(f"sqlite:///{data / 'consent.db'}")
    keys = KeyStore.open(data, create=True, clock=clock)
    return database, Ledger.open(LedgerSettings(data / "ledger"), database, keys, clock, NoProofs())


def put_and_beat(database: Database, ledger: Ledger, data: Path) -> None:
    """Leaves in transactions of the consent database; what was committed is written down."""
    for _ in range(4):
        for _ in range(3):
            with database.write() as connection:
                ledger.entries.person(connection, "ab" * 32, secrets.token_bytes(16))
                newest = connection.exec_driver_sql(
                    "SELECT leaf FROM ledger_outbox ORDER BY id DESC LIMIT 1"
                ).scalar_one()
            with (data / "acked").open("a") as acked:
                acked.write(read_leaf(newest).commitment.hex() + "\n")
        ledger.beat()


def _until_outbox(point: str, data: Path) -> None:
    database, ledger = open_ledger(data)
    arm(point)
    put_and_beat(database, ledger, data)


@pytest.mark.parametrize("case", [f"{point}:{nth}" for point in OUTBOX_POINTS for nth in (1, 3)])
def test_killed_on_the_way_from_database_to_database(tmp_path: Path, case: str) -> None:
    """What was committed in the consent database is in the ledger, once, whatever was copied or deleted twice."""
    assert died(_until_outbox, case, tmp_path)

    database, ledger = open_ledger(tmp_path)
    put_and_beat(database, ledger, tmp_path)
    placed = [read_leaf(leaf).commitment.hex() for leaf in ledger.store.leaves(0, ledger.seen().size)]
    acked = (tmp_path / "acked").read_text().split()

    assert len(placed) == len(set(placed))
    assert set(acked) <= set(placed)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger_outbox").scalar_one() == 1
    ledger.close()
    database.close()


def test_crash_points_of_the_ledger_are_all_tried() -> None:
    """Every named line of the room stands in one of the lists above."""
    sources = "".join(path.read_text() for path in (ROOT / "control_plane" / "ledger").glob("*.py"))

    assert set(re.findall(r'crash_point\("([^"]+)"\)', sources)) == {*POINTS, *OUTBOX_POINTS, *ARCHIVE_POINTS}
