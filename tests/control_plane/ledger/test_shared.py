"""Several control planes share one ledger in PostgreSQL: each has files of its own, and all of them are one ledger."""

import threading

import pytest

from consent_core.errors import Unavailable
from control_plane.ledger.store import LedgerStore, NewLeaf
from tests.control_plane.ledger.worlds import World, person


@pytest.fixture
def url(postgres_server):
    return postgres_server.url()


def member(first: World, tmp_path, name: str) -> World:
    """Another control plane's sequencer over the same database, keys and witnesses, with a directory of its own."""
    other = World(tmp_path / name, witnesses=0, quorum=0, url=first.url)
    other.keys, other.servers = first.keys, first.servers
    other.sequencer = other.another_sequencer()
    return other


def test_two_control_planes_make_one_ledger(url, tmp_path):
    """In turns each goes on where the other ended, and publishes the same tree."""
    one = World(tmp_path / "one", url=url)
    two = member(one, tmp_path, "two")
    for beat in range(3):
        one.beat(*(f"a{beat}-{i}" for i in range(100)))
        two.beat(*(f"b{beat}-{i}" for i in range(100)))
    one.beat()
    two.sequencer.recover()
    two.sequencer.beat()

    entries = two.entries()
    assert len(entries) == len(set(entries))
    assert {person(f"{of}{beat}-{i}") for of in "ab" for beat in range(3) for i in range(100)} < set(entries)
    assert one.entries() == entries[: one.published().checkpoint.size]
    one.close()
    two.store.close()


def test_at_the_same_moment_one_of_them_goes_on(url, tmp_path):
    """Whoever finds that the other has gone on is told so and looks again: nothing is placed twice."""
    one = World(tmp_path / "one", url=url)
    two = member(one, tmp_path, "two")
    one.beat("first")
    problems = []

    def beats(world, tag):
        for n in range(8):
            world.put(f"{tag}{n}")
            try:
                world.sequencer.beat()
            except Unavailable as error:
                problems.append(error.code)

    threads = [threading.Thread(target=beats, args=(world, tag)) for world, tag in ((one, "a"), (two, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.beat()

    entries = one.entries()
    assert set(problems) <= {"ledger-moved"}
    assert len(entries) == len(set(entries))
    assert {person(f"{tag}{n}") for tag in "ab" for n in range(8)} < set(entries)
    one.close()
    two.store.close()


def test_a_put_that_is_repeated_at_once_counts_once(url):
    """Two control planes copy the same rows at the same moment."""
    stores = [LedgerStore.open(url) for _ in range(2)]
    leaves = [NewLeaf(person(f"n{i}")) for i in range(300)]
    threads = [threading.Thread(target=store.put, args=(leaves, 0)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stores[0].count_waiting() == 300
    for store in stores:
        store.close()
