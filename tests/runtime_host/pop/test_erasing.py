"""A purge is receipted only when every part of the POP was deleted and counted again: stores, trails, memory."""

import sqlite3
from types import SimpleNamespace

import jwt
import pytest

from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.formats.revocation import EVERY_VERSION, subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.providers.keyring import LocalKeyring
from runtime_host.pop.evidence.erasing import AtWorker, Deputy, Eraser, Memory
from runtime_host.pop.stores import Interaction, PopStore
from runtime_host.pop.stores.sessions import Session
from runtime_host.pop.stores.shared_state import Mark, SharedState
from tests.runtime_host.pop.edge import make_edge

HERO = "/v1/slots/home-hero?section=camping&tags=tent"
SUB = "p7JxS0m3BqRk2v1T9aYcZg"
SUBJECT = subject_of(SUB)
SESSION = "5e" * 32
ANSWER = SimpleNamespace(answer=SimpleNamespace(sub=SUB))  # all that keeping an answer asks of it
PARTS = {"history", "outbox", "queue", "sessions", "memory.tokyo-1", "trail.tokyo-1"}


@pytest.fixture
def audit(tmp_path):
    provider = LocalKeyring(tmp_path / "keyring" / "wrapping.json")
    limits = AuditLimits(seal_every_s=None)
    made = AuditWriter.open(tmp_path / "audit" / "edge" / "tokyo-1", "edge/tokyo-1", provider, ManualClock(), limits)
    made.visitors._database.execute("PRAGMA busy_timeout=50")
    yield made
    made.close()


@pytest.fixture
def edge(tmp_path, catalogue, run, audit):
    """A POP that knows one visitor in every part it has."""
    made = make_edge(tmp_path, catalogue, parts={"audit": audit})

    async def know():
        await made.sync()
        made.known = made.token("contextual", "behavioral", sub=SUB)
        await made.get(HERO, made.known)

    run(know())
    pop, now = made.pop, made.pop.clock.now()
    pop.store.history.record(Interaction(SUBJECT, 1, "behavioral", "click", "tent"))
    pop.store.sessions.remember(Session(SESSION, SUBJECT, 1, now + 60))
    pop.answers.put(SESSION, ANSWER)
    yield made
    run(made.pop.stop())


def purge(edge, run):
    edge.plane.log("purge", SUBJECT, CATEGORIES, EVERY_VERSION)
    run(edge.pop.sync.poll())


def receipts(edge):
    return [row.body for row in edge.pop.store.queue.pending("purge-receipt")]


def test_a_purge_empties_every_part_before_it_is_receipted(edge, run, audit):
    """Rows, sessions, tokens, answers, keys of the trail; what cannot be cut has the date on which it goes."""
    purge(edge, run)
    (receipt,) = receipts(edge)

    assert set(receipt["deleted"]) == PARTS
    assert {part for part, count in receipt["deleted"].items() if count} == PARTS - {"outbox", "queue"}
    assert receipt["deleted"]["memory.tokyo-1"] >= 2
    assert receipt["ends"].keys() == {"log_answers", "denials", "tombstone"}
    assert audit.keys_left(SUBJECT) == 0
    pop = edge.pop
    assert [cache.holds(SUBJECT) for cache in (pop.answers, pop.pipeline.tokens, pop.pipeline.recent)] == [0, 0, 0]


def test_what_comes_after_the_purge_is_not_remembered(edge, run):
    """An answer that was under way, a session that comes with it, a token that is still in the browser."""
    purge(edge, run)
    pop = edge.pop
    pop.answers.put(SESSION, ANSWER)
    pop.store.sessions.remember(Session(SESSION, SUBJECT, 1, pop.clock.now() + 60))
    shown = run(edge.get(HERO, edge.token("contextual", sub=SUB)))

    assert (pop.answers.holds(SUBJECT), pop.pipeline.tokens.holds(SUBJECT)) == (0, 0)
    assert pop.store.sessions.find(SESSION) is None
    assert shown.json()["category"] == "default"


def test_a_locked_visitors_file_holds_the_receipt_back(edge, run, audit):
    """The trail still opens while its keys cannot be deleted: nothing says that the person was erased."""
    other = sqlite3.connect(audit.visitors._path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    purge(edge, run)
    edge.pop.erasing.step()
    assert receipts(edge) == []
    assert edge.pop.sync.failures.unavailable["audit-unwritable"] >= 1

    other.execute("ROLLBACK")
    other.close()
    assert edge.pop.erasing.step()
    assert [receipt["subject"] for receipt in receipts(edge)] == [SUBJECT]
    assert audit.keys_left(SUBJECT) == 0


def test_a_reader_of_the_trail_holds_the_receipt_back(edge, run, audit):
    """While somebody's snapshot keeps the journal of the keys file, the deleted key is still on the disk."""
    other = sqlite3.connect(audit.visitors._path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT COUNT(*) FROM visitor").fetchone()
    purge(edge, run)
    assert receipts(edge) == []

    other.close()
    assert edge.pop.erasing.step()
    assert len(receipts(edge)) == 1


def test_a_disk_that_takes_no_writes_holds_the_receipt_back(edge, run):
    """The purge is applied; then the disk refuses. What is owed is on it and is tried again."""
    edge.pop.erasing.purged = lambda _: None
    purge(edge, run)
    edge.pop.store.database._connection.execute("PRAGMA query_only=ON")
    assert not edge.pop.erasing.step()
    assert receipts(edge) == []

    edge.pop.store.database._connection.execute("PRAGMA query_only=OFF")
    assert edge.pop.erasing.step()
    assert len(receipts(edge)) == 1


def test_a_delivered_receipt_leaves_no_name_in_the_queue(edge, run):
    """Neither the queue nor the list of what was owed names the visitor any more."""
    purge(edge, run)
    run(edge.pop.sync.report())
    rows = edge.pop.store.database.rows

    assert rows("SELECT 1 FROM queue WHERE body LIKE ?", (f"%{SUBJECT}%",)) == []
    assert rows("SELECT 1 FROM erasures") == []
    assert edge.plane.reports[-1]["receipts"][0]["ends"].keys() == {"log_answers", "denials", "tombstone"}


class Stubborn:
    """A part that keeps something for so many tries."""

    def __init__(self, tries, fails):
        self.tries, self.fails = tries, fails

    def delete(self, _):
        self.tries -= 1
        if self.tries >= 0 and self.fails:
            raise Unavailable("store-io", "not now")
        return 1

    def left(self, _):
        return int(self.tries >= 0)


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("tries", [1, 3])
def test_any_part_holds_the_receipt_back(tmp_path, tries, fails):
    """Whether it raises or simply counts something: no receipt before the count is 0."""
    with PopStore(tmp_path / "pop.db", ManualClock()) as store:
        done = []
        eraser = Eraser(store, {"other": Stubborn(tries, fails)}, lambda _: None, lambda: done.append(1))
        with store.database.transaction():
            store.erasures.begin(7, SUBJECT, store.profile)
        for _ in range(tries):
            assert not eraser.step()
            assert (store.queue.pending("purge-receipt"), done) == ((), [])
        assert eraser.step()
        assert (len(store.queue.pending("purge-receipt")), done) == (1, [1])


def test_a_worker_that_does_not_answer_holds_the_receipt_back(tmp_path):
    """A worker acts on the mark, forgets, and says so; one that hangs, or died before it did, is waited for."""
    state = SharedState.make(2)
    worker = SharedState.join(state.fd, 1, 2)
    kept = {SUBJECT}
    with PopStore(tmp_path / "pop.db", ManualClock(), state) as store:
        parts = {"memory.tokyo-1.w2": AtWorker(state, 1)}
        eraser = Eraser(store, parts, lambda _: None, lambda: None)
        deputy = Deputy([_Kept(kept)], worker, lambda _: None)
        deputy.through(state.mark(Mark.ERASED))
        with store.database.transaction():
            store.erasures.begin(7, SUBJECT, store.profile)
            store.revoking.erase(SUBJECT)
        assert not eraser.step()

        deputy.purged(SUBJECT)
        deputy.through(state.mark(Mark.ERASED))
        assert (kept, eraser.step()) == (set(), True)
    state.close()


def test_a_worker_that_cannot_forget_does_not_say_so(tmp_path):
    """Its word on the shared state is that it holds nothing; a part that fails there is retried there."""
    state = SharedState.make(2)
    worker = SharedState.join(state.fd, 1, 2)
    deputy = Deputy([Stubborn(2, fails=True)], worker, lambda _: None)
    state.announce(Mark.ERASED)
    deputy.purged(SUBJECT)
    deputy.through(1)
    assert state.acted(1) == 0

    deputy.step()
    assert state.acted(1) == 0
    deputy.step()
    assert state.acted(1) == 1
    state.close()


def test_no_memory_at_all_counts_as_empty():
    """A process without caches has nothing to forget."""
    assert (Memory(()).delete(SUBJECT), Memory(()).left(SUBJECT)) == (0, 0)


class _Kept:
    def __init__(self, subjects):
        self.subjects = subjects

    def delete(self, subject):
        self.subjects.discard(subject)
        return 0

    def left(self, subject):
        return int(subject in self.subjects)


def on_disk(directory, name):
    """The files that hold a name anywhere in their bytes: pages in use, free ones, journals."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.name for path in files if name.encode() in path.read_bytes()}


def tables_with(store, name):
    """The tables of `pop.db` that hold it in any column."""
    tables = [table for (table,) in store.database.rows("SELECT name FROM sqlite_master WHERE type='table'")]
    rows = {table: store.database.rows(f"SELECT * FROM {table}") for table in tables}
    return {table for table, found in rows.items() if name in repr(found)}


def test_an_outsider_finds_only_what_has_an_end_date(edge, run, audit, tmp_path):
    """After the receipt was taken, the raw bytes of every file: no sub, jti or session; the log's name ends."""
    jti = jwt.decode(edge.known, options={"verify_signature": False})["jti"]
    purge(edge, run)
    run(edge.pop.sync.report())
    audit.flush()

    for name in (SUB, SESSION, jti):
        assert (name, on_disk(tmp_path, name), tables_with(edge.pop.store, name)) == (name, set(), set())
    store = edge.pop.store
    assert tables_with(store, SUBJECT) <= {"tombstones", "raw", "denials"}
    assert on_disk(tmp_path, SUBJECT) <= {"pop.db", "pop.db-wal"}

    edge.clock.advance(16 * 86_400)
    store.sweep(edge.clock.now())
    assert (tables_with(store, SUBJECT), on_disk(tmp_path, SUBJECT)) == (set(), set())
