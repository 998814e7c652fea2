"""Changes leave the event loop: one thread, in order, together on the disk; each caller hears of its own."""

import asyncio
import contextlib
import gc
import sqlite3
import threading
import weakref

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Unavailable
from runtime_host.pop.stores import PopStore, Withdrawal

NO = Withdrawal("k" * 22, "w" * 43, "a" * 64, 4)


@pytest.fixture
def store(tmp_path):
    with PopStore(tmp_path / "pop.db", ManualClock()) as made:
        yield made


def no(number):
    return Withdrawal(f"{number:022}", "w" * 43, f"{number:064x}", 4)


class Blocked:
    """Holds the writer in a change until `release` is set, as an fsync that does not come back."""

    def __init__(self):
        self.began, self.release = threading.Event(), threading.Event()

    def __call__(self):
        self.began.set()
        self.release.wait()


def test_changes_that_wait_together_commit_together(store):
    """One commit, which is one fsync, for ten noes."""
    commits = []
    store.database._connection.set_trace_callback(lambda s: commits.append(s) if s == "COMMIT" else None)

    async def scenario():
        blocked, writer = Blocked(), store.database.writer
        first = asyncio.create_task(writer.run(blocked, alone=True))
        await asyncio.to_thread(blocked.began.wait)
        rest = [asyncio.create_task(writer.run(lambda n=n: store.withdraw(no(n)))) for n in range(10)]
        await asyncio.sleep(0)
        blocked.release.set()
        await first
        return await asyncio.gather(*rest)

    changes = asyncio.run(scenario())

    assert commits == ["COMMIT"]
    assert [change.subject for (change,) in changes] == [f"{n:064x}" for n in range(10)]
    assert len(store.outbox.pending()) == 10
    assert all(store.revocations.denied(f"{n:064x}", 3) for n in range(10))


def test_one_that_is_refused_is_undone_alone(store):
    """Its neighbours of the same commit are on the disk, and nothing of it is, in memory neither."""

    def halfway():
        store.withdraw(no(1))
        raise Rejected("visitor-erased")

    async def scenario():
        blocked, writer = Blocked(), store.database.writer
        first = asyncio.create_task(writer.run(blocked, alone=True))
        await asyncio.to_thread(blocked.began.wait)
        jobs = [lambda: store.withdraw(no(0)), halfway, lambda: store.withdraw(no(2))]
        rest = [asyncio.create_task(writer.run(job)) for job in jobs]
        await asyncio.sleep(0)
        blocked.release.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    good, refused, also_good = asyncio.run(scenario())

    assert isinstance(refused, Rejected)
    assert [len(good), len(also_good)] == [1, 1]
    assert [w.subject for w in store.outbox.pending()] == [no(0).subject, no(2).subject]
    assert not store.revocations.denied(no(1).subject, 3)


def test_a_disk_that_refuses_is_heard_by_everybody_who_waited(store):
    """No answer says that it is kept."""

    async def scenario():
        blocked, writer = Blocked(), store.database.writer
        first = asyncio.create_task(writer.run(blocked, alone=True))
        await asyncio.to_thread(blocked.began.wait)
        rest = [asyncio.create_task(writer.run(lambda n=n: store.withdraw(no(n)))) for n in range(3)]
        await asyncio.sleep(0)
        store.database._connection.execute("PRAGMA query_only=ON")
        blocked.release.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    outcomes = asyncio.run(scenario())

    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert store.outbox.pending() == ()


def test_a_reader_does_not_wait_for_a_writer(store):
    """In this process, and where another process holds the lock; it sees what was committed."""
    store.withdraw(NO)
    with contextlib.closing(sqlite3.connect(store.database._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = threading.Thread(target=lambda: store.withdraw(no(6)))
        writing.start()  # waits for the other process, and holds this one's lock meanwhile
        assert store.outbox.waiting()[0] == 1
        other.execute("ROLLBACK")
        writing.join()
    with store.database.transaction():
        store.outbox.add(no(7))
        assert len(store.outbox.pending()) == 3


def test_a_caller_that_gives_up_does_not_undo_its_change(store):
    """The visitor closed the page; the "no" is in force."""

    async def scenario():
        blocked, writer = Blocked(), store.database.writer
        first = asyncio.create_task(writer.run(blocked, alone=True))
        await asyncio.to_thread(blocked.began.wait)
        gone = asyncio.create_task(writer.run(lambda: store.withdraw(NO)))
        await asyncio.sleep(0)
        gone.cancel()
        blocked.release.set()
        await first
        with pytest.raises(asyncio.CancelledError):
            await gone
        await writer.run(lambda: None)

    asyncio.run(scenario())

    assert store.revocations.denied("a" * 64, 3)


def test_what_was_asked_for_is_carried_out_before_the_store_closes(tmp_path):
    """A POP that stops keeps what it took."""
    store = PopStore(tmp_path / "pop.db", ManualClock())

    async def scenario():
        waiting = [asyncio.create_task(store.database.writer.run(lambda n=n: store.withdraw(no(n)))) for n in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        await asyncio.gather(*waiting)

    asyncio.run(scenario())

    with PopStore(tmp_path / "pop.db", ManualClock()) as again:
        assert len(again.outbox.pending()) == 20


def test_the_waiting_thread_holds_nothing_of_who_was_served_last(store):
    """What was said of a visitor leaves this process's memory with its purge."""

    class Said:
        pass

    said = Said()
    left = weakref.ref(said)

    async def scenario(said):
        await store.database.writer.run(lambda: said and None)

    asyncio.run(scenario(said))
    del said
    asyncio.run(scenario(None))  # its end says that the first change's is over
    gc.collect()

    assert left() is None
