"""What is remembered, for how long, and what no longer is."""

import threading
from pathlib import Path

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Rejected
from consent_core.formats.revocation import subject_of
from runtime_host.pop.stores import Interaction, PopStore
from runtime_host.pop.stores.history import DAY_S, MAX_ROWS, day_of
from tests.runtime_host.log_entries import at, entry_of

VISITOR = subject_of("A" * 22)
OTHER = subject_of("B" * 21 + "A")
ORIGIN = "o" * 22
RETENTION = {"behavioral": 7 * DAY_S, "experimental": 14 * DAY_S}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> PopStore:
    with PopStore(tmp_path / "pop.db", clock) as opened:
        yield opened


def click(category: str = "behavioral", ver: int = 3, subject: str = VISITOR, item: str = "tent") -> Interaction:
    return Interaction(subject, ver, category, "click", item, ("camping", "summer"))


def revoke(store: PopStore, seq: int, kind: str = "session", *, ver: int = 4, categories=("behavioral",)) -> None:
    store.apply([entry_of(seq, kind, VISITOR, tuple(categories), ver, 1_800_000_000)], ORIGIN, at(seq), at(seq), 1)


def test_a_row_reads_back_as_it_was_written(store: PopStore, clock: ManualClock) -> None:
    """Kind, item, tags, UTC date and second survive the disk."""
    store.history.record(click())

    (kept,) = store.history.read(VISITOR, "behavioral")
    assert (kept.kind, kept.item, kept.tags) == ("click", "tent", ("camping", "summer"))
    assert (kept.day, kept.at) == (day_of(clock.now()), clock.now())


@pytest.mark.parametrize("category", RETENTION)
def test_retention_ends_at_the_exact_second(store: PopStore, clock: ManualClock, category: str) -> None:
    """Readable in the last second of retention, not in the next, although no sweep has run."""
    store.history.record(click(category))

    clock.advance(RETENTION[category] - 1)
    assert len(store.history.read(VISITOR, category)) == 1
    clock.advance(1)
    assert store.history.read(VISITOR, category) == ()
    clock.advance(1)
    assert store.history.read(VISITOR, category) == ()


def test_the_sweep_deletes_what_ran_out_and_nothing_else(store: PopStore, clock: ManualClock) -> None:
    """After the sweep the old row is off the disk, the young one and the longer category stay."""
    store.history.record(click("behavioral"))
    store.history.record(click("experimental"))
    clock.advance(RETENTION["behavioral"])
    store.history.record(click("behavioral", item="stove"))

    assert store.history.sweep() == 1
    assert [kept.item for kept in store.history.read(VISITOR, "behavioral")] == ["stove"]
    assert len(store.history.read(VISITOR, "experimental")) == 1


def test_a_row_from_the_future_is_not_readable(store: PopStore, clock: ManualClock) -> None:
    """A clock that ran ahead and was put back leaves rows whose age cannot be known."""
    clock.advance(DAY_S)
    store.history.record(click())
    clock.advance(-DAY_S)

    assert store.history.read(VISITOR, "behavioral") == ()


def test_contextual_keeps_nothing(store: PopStore) -> None:
    """Recording a contextual interaction is a mistake of the caller."""
    with pytest.raises(ValueError, match="contextual keeps no history"):
        store.history.record(click("contextual"))


def test_one_visitor_cannot_fill_the_disk(store: PopStore) -> None:
    """Only the newest rows of a visitor stay."""
    for number in range(MAX_ROWS + 20):
        store.history.record(click(item=f"item-{number}"))

    kept = store.history.read(VISITOR, "behavioral", limit=10_000)
    assert len(kept) == MAX_ROWS
    assert kept[0].item == f"item-{MAX_ROWS + 19}"


def test_revoking_behavioral_deletes_its_rows_and_queues_a_retrain(store: PopStore, clock: ManualClock) -> None:
    """The days the rows came from are named for who retrains; other visitors and categories stay."""
    first = day_of(clock.now())
    store.history.record(click())
    clock.advance(DAY_S)
    store.history.record(click())
    store.history.record(click("experimental"))
    store.history.record(click(subject=OTHER))
    revoke(store, 1)

    assert store.history.read(VISITOR, "behavioral") == ()
    assert len(store.history.read(VISITOR, "experimental")) == 1
    assert len(store.history.read(OTHER, "behavioral")) == 1
    (row,) = store.queue.pending("retrain")
    assert row.body["subject"] == VISITOR
    assert row.body["days"] == [first, day_of(clock.now())]


def test_revoking_experimental_keeps_only_the_anonymous_totals(store: PopStore, clock: ManualClock) -> None:
    """What was counted stays counted; who it was is gone; nothing new is tracked."""
    store.history.record(click("experimental"))
    store.history.record(click("experimental"))
    revoke(store, 1, categories=("experimental",))

    assert store.history.read(VISITOR, "experimental") == ()
    assert store.history.totals(day_of(clock.now())) == {("click", "tent", ("camping", "summer")): 2}
    with pytest.raises(Rejected, match="experimental was taken back"):
        store.history.record(click("experimental"))
    assert store.history.totals(day_of(clock.now())) == {("click", "tent", ("camping", "summer")): 2}


def test_revoking_contextual_deletes_nothing(store: PopStore) -> None:
    """Nothing is stored for it, so nothing of the others may go."""
    store.history.record(click())
    revoke(store, 1, categories=("contextual",))

    assert len(store.history.read(VISITOR, "behavioral")) == 1
    assert store.queue.pending("retrain") == ()


def test_a_late_revocation_spares_what_a_newer_grant_allowed(store: PopStore) -> None:
    """Rows written under a token of the new version are the visitor's new choice."""
    store.history.record(click(ver=3, item="old"))
    store.history.record(click(ver=4, item="new"))
    revoke(store, 1, ver=4)

    assert [kept.item for kept in store.history.read(VISITOR, "behavioral")] == ["new"]
    store.history.record(click(ver=4, item="newer"))
    with pytest.raises(Rejected) as refusal:
        store.history.record(click(ver=3))
    assert refusal.value.code == "category-revoked"


def test_a_purge_leaves_nothing_and_owes_a_count(store: PopStore) -> None:
    """Rows and sessions of the visitor go, a tombstone stays; there is no receipt before each part was counted."""
    store.history.record(click())
    store.history.record(click("experimental"))
    store.history.record(click(subject=OTHER))
    revoke(store, 7, "purge", categories=("contextual", "behavioral", "experimental"))

    assert store.history.read(VISITOR, "behavioral") == store.history.read(VISITOR, "experimental") == ()
    assert len(store.history.read(OTHER, "behavioral")) == 1
    assert store.revocations.denied(VISITOR, 10**9) == {"contextual", "behavioral", "experimental"}
    assert store.queue.pending("purge-receipt") == ()
    assert {owed.part for owed in store.erasures.owed()} == {"history", "outbox", "queue", "sessions"}


def test_purged_content_leaves_the_disk(store: PopStore, tmp_path: Path) -> None:
    """After purge and sweep neither the database nor its log holds what the visitor did."""
    store.history.record(click(item="a-very-particular-tent"))
    revoke(store, 1, "purge", categories=("behavioral",))
    store.sweep()

    for path in tmp_path.glob("pop.db*"):
        assert b"a-very-particular-tent" not in path.read_bytes()


def test_no_write_comes_after_a_purge(store: PopStore) -> None:
    """The tombstone refuses every row that was still on its way, of any version."""
    revoke(store, 1, "purge", categories=("behavioral",))

    with pytest.raises(Rejected) as refusal:
        store.history.record(click(ver=10**9))
    assert (refusal.value.code, refusal.value.status) == ("visitor-erased", 410)


def test_a_purge_racing_with_writers_leaves_no_row(tmp_path: Path, clock: ManualClock) -> None:
    """Writers on connections of their own, a purge in their midst: afterwards no row is left and no write succeeds."""
    path = tmp_path / "pop.db"
    PopStore(path, clock).close()
    started, refused = threading.Barrier(3), []

    def write() -> None:
        with PopStore(path, clock) as mine:
            started.wait()
            for _ in range(100_000):
                try:
                    mine.history.record(click())
                except Rejected as error:
                    refused.append(error.code)
                    return

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    with PopStore(path, clock) as purging:
        started.wait()
        while not purging.history.read(VISITOR, "behavioral"):
            pass
        revoke(purging, 1, "purge", categories=("behavioral",))
        for writer in writers:
            writer.join()

        assert purging.history.read(VISITOR, "behavioral") == ()
        assert refused == ["visitor-erased"] * 2
