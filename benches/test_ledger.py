"""What the ledger takes: leaves per second durable and published, a put, a proof, and what a consent change costs more.

Real database, real files with their flushes, three witnesses in this process that write before they sign.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.clock import ManualClock
from consent_core.formats.leaf import person_leaf
from consent_core.formats.tile import TileHashes
from consent_core.formats.tlog import inclusion_path, leaf_hash, verify_inclusion
from control_plane.app import ControlPlane, create_app
from control_plane.ledger.entries import Leaves, NoLeaves
from control_plane.ledger.sequencer import MOST
from control_plane.ledger.store import NewLeaf
from control_plane.settings import Settings
from tests.control_plane.conftest import Browser
from tests.control_plane.ledger.worlds import World

ROUNDS = 7
PUT = 50  # leaves of one put: 2,000 a second in forty puts
CHANGES = 150  # pairs of a consent change with and without its leaf


def leaves(first: int, n: int) -> list[NewLeaf]:
    return [NewLeaf(person_leaf(i.to_bytes(32))) for i in range(first, first + n)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("ledger"))
    made.sequencer.recover()
    yield made
    made.close()


def test_beats_of_ten_thousand(benchmark: BenchmarkFixture, world: World) -> None:
    """Put and published: database, tiles, cosigned checkpoint. `extra_info.per_s`: leaves per second, the median."""
    numbers = iter(range(0, 10**9, MOST))

    def beat(new: list[NewLeaf]) -> None:
        for at in range(0, MOST, 500):
            world.store.put(new[at : at + 500], world.clock.now())
        world.sequencer.beat()

    benchmark.pedantic(beat, setup=lambda: ((leaves(next(numbers), MOST),), {}), rounds=ROUNDS)

    assert world.sequencer.progress.published == world.sequencer.progress.size > ROUNDS * MOST
    benchmark.extra_info["per_s"] = MOST / statistics.median(benchmark.stats.stats.data)


def test_beat_of_two_thousand(benchmark: BenchmarkFixture, world: World) -> None:
    """From the beat to the checkpoint that anybody can fetch, with what a busy half minute brings."""
    numbers = iter(range(2 * 10**9, 3 * 10**9, 2_000))

    def wait() -> None:
        world.store.put(leaves(next(numbers), 2_000), world.clock.now())

    benchmark.pedantic(world.sequencer.beat, setup=wait, rounds=9)

    assert world.sequencer.progress.published == world.sequencer.progress.size


def test_put(benchmark: BenchmarkFixture, world: World) -> None:
    """Fifty leaves, on the disk in the ledger's own database when it returns."""
    numbers = iter(range(10**9, 2 * 10**9, PUT))

    benchmark.pedantic(
        lambda new: world.store.put(new, 0), setup=lambda: ((leaves(next(numbers), PUT),), {}), rounds=200
    )


def test_proof_from_cold_tiles(benchmark: BenchmarkFixture, world: World) -> None:
    """An inclusion proof in a ledger of more than 70,000 leaves, every tile read from its file."""
    size = world.published().checkpoint.size
    indexes = iter(range(0, 10**9, 7919))

    path = benchmark(lambda: inclusion_path(next(indexes) % size, size, TileHashes(size, world.public.read)))

    assert size > 70_000
    assert len(path) >= 16


def test_proof_verified(benchmark: BenchmarkFixture, world: World) -> None:
    """The same proof, checked."""
    checkpoint = world.published().checkpoint
    path = inclusion_path(12_345, checkpoint.size, TileHashes(checkpoint.size, world.public.read))
    leaf = leaf_hash(world.store.leaves(12_345, 12_346)[0])

    benchmark(verify_inclusion, 12_345, checkpoint.size, leaf, path, checkpoint.root)


@pytest.mark.parametrize("visitor", ["new", "known"])
def test_consent_change_with_its_leaf(benchmark: BenchmarkFixture, tmp_path: Path, visitor: str) -> None:
    """A grant with leaf and sealed proof over one without, in turns. `extra_info.ratio`: of the medians.

    new: the person's first of the month, whose key must be on the disk before anything is sealed under it.
    """
    plane = create_app(Settings(data=tmp_path, clock=ManualClock()))
    leaves, pairs = plane.log._leaves, []
    browsers = [Browser(plane), Browser(plane)]
    for _ in range(CHANGES):
        browsers = browsers if visitor == "known" else [Browser(plane), Browser(plane)]
        pairs.append(
            [timed(plane, browser, each) for browser, each in zip(browsers, (leaves, NoLeaves()), strict=True)]
        )

    benchmark.pedantic(lambda: browsers[0].grant("contextual"), rounds=20)
    plane.close()
    benchmark.extra_info["ratio"] = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


def timed(plane: ControlPlane, browser: Browser, leaves: Leaves) -> float:
    plane.log._leaves = leaves
    begun = time.perf_counter()
    browser.grant("contextual", "behavioral")
    return time.perf_counter() - begun
