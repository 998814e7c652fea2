"""Killed at every named line of a beat: nothing lost, nothing doubled, and what was published only grew."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from consent_core.crash import arm
from consent_core.formats.note import Checkpoint
from consent_core.formats.tlog import EMPTY_ROOT
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


@pytest.mark.parametrize("case", CASES)
def test_killed_at_every_named_line(tmp_path: Path, case: str) -> None:
    """After the restart the writer repeats everything: each leaf once, each published tree begins the next."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_until, args=(case, tmp_path))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL

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
