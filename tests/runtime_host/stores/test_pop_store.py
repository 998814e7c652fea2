"""Revocations, withdrawals, sessions and the queue as one file on disk."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Unavailable
from consent_core.formats.revocation import Entry, subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Interaction, PopStore, Session, Withdrawal
from runtime_host.pop.stores.history import DAY_S
from runtime_host.pop.stores.revoking import DENIAL_KEPT_S
from tests.runtime_host.log_entries import at, entry_of

VISITOR = subject_of("A" * 22)
ORIGIN = "o" * 22
NO = Withdrawal("k" * 22, "0" * 43, VISITOR, 4, ("behavioral",))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> PopStore:
    with PopStore(tmp_path / "pop.db", clock) as opened:
        yield opened


def session_entry(seq: int, subject: str, categories: tuple[str, ...], ver: int, at: int = 1_800_000_000) -> Entry:
    return entry_of(seq, "session", subject, categories, ver, at)


def reopened(store: PopStore, tmp_path: Path, clock: ManualClock) -> PopStore:
    store.close()
    return PopStore(tmp_path / "pop.db", clock)


def test_a_revocation_hits_every_lower_version_and_no_other(store: PopStore) -> None:
    """Also tokens not yet seen: what counts is the version, not the token."""
    store.apply([session_entry(1, VISITOR, ("behavioral", "experimental"), 5)], ORIGIN, at(1), at(1), 1)

    assert store.revocations.denied(VISITOR, 4) == {"behavioral", "experimental"}
    assert store.revocations.denied(VISITOR, 5) == frozenset()
    assert store.revocations.denied(subject_of("B" * 21 + "A"), 4) == frozenset()


SUBJECTS = [subject_of(letter * 21 + "A") for letter in "ABC"]
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(SUBJECTS),
        st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True),
        st.integers(1, 9),
        st.sampled_from(["session", "session", "session", "purge"]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(entries=ENTRIES)
def test_the_mirror_says_what_the_disk_says(tmp_path_factory: pytest.TempPathFactory, entries: list) -> None:
    """A POP that restarts answers exactly as the running one does."""
    clock, path = ManualClock(), tmp_path_factory.mktemp("mirror") / "pop.db"
    with PopStore(path, clock) as running:
        for seq, (subject, categories, ver, kind) in enumerate(entries, 1):
            running.apply([entry_of(seq, kind, subject, tuple(categories), ver, 1)], ORIGIN, at(seq), at(seq), 1)
        with PopStore(path, clock) as restarted:
            for subject in SUBJECTS:
                for ver in range(11):
                    assert running.revocations.denied(subject, ver) == restarted.revocations.denied(subject, ver)


def test_the_generation_rises_with_every_change_and_only_after_the_commit(store: PopStore) -> None:
    """A decision that saw the old generation is asked again; one that saw the new one saw the denial too."""
    before = store.revocations.generation

    def undone() -> None:
        with store.database.transaction():
            store.revoking.deny(VISITOR, ("behavioral",), 5, "log", None)
            assert (store.revocations.generation, store.revocations.denied(VISITOR, 4)) == (before, frozenset())
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        undone()
    assert (store.revocations.generation, store.revocations.denied(VISITOR, 4)) == (before, frozenset())

    store.apply([session_entry(1, VISITOR, ("behavioral",), 5)], ORIGIN, at(1), at(1), 1)
    assert store.revocations.generation > before


def test_denials_end_only_when_no_token_can_be_alive(store: PopStore, clock: ManualClock) -> None:
    """Two token lifetimes by this POP's clock and by the log's own time, whichever is later."""
    store.apply([session_entry(1, VISITOR, ("behavioral",), 5, at=clock.now())], ORIGIN, at(1), at(1), clock.now())
    signed = clock.now() + DENIAL_KEPT_S

    clock.advance(DENIAL_KEPT_S)
    store.sweep(signed)
    assert store.revocations.denied(VISITOR, 4) == {"behavioral"}
    clock.advance(10)
    store.sweep(signed)
    assert store.revocations.denied(VISITOR, 4) == {"behavioral"}
    store.sweep(None)
    assert store.revocations.denied(VISITOR, 4) == {"behavioral"}
    store.sweep(signed + 10)
    assert store.revocations.denied(VISITOR, 4) == frozenset()


def test_keys_and_models_stay_revoked(store: PopStore, tmp_path: Path, clock: ManualClock) -> None:
    """They are never pruned."""
    store.apply(
        [
            entry_of(1, "key", "token-1", (), 0, clock.now()),
            entry_of(2, "model", "model-v20270115.1", (), 0, clock.now()),
        ],
        ORIGIN,
        at(2),
        at(2),
        clock.now(),
    )
    clock.advance(1000 * DAY_S)
    store.sweep(clock.now())

    again = reopened(store, tmp_path, clock)
    assert again.revocations.key_revoked("token-1")
    assert again.revocations.model_revoked("model-v20270115.1")
    assert not again.revocations.key_revoked("token-2")
    again.close()


def test_a_withdrawal_holds_at_once_and_after_a_restart(store: PopStore, tmp_path: Path, clock: ManualClock) -> None:
    """Denied, deleted, kept for forwarding: all before anybody is answered."""
    store.history.record(Interaction(VISITOR, 3, "behavioral", "click", "tent"))
    store.withdraw(NO)

    for each in (store, again := reopened(store, tmp_path, clock)):
        if each is again:
            assert again.history.read(VISITOR, "behavioral") == ()
            assert again.outbox.pending() == (NO,)
            assert len(again.queue.pending("retrain")) == 1
        assert each.revocations.denied(VISITOR, 3) == {"behavioral"}
    again.close()


def test_a_withdrawal_said_twice_counts_once(store: PopStore) -> None:
    """The same key is the same withdrawal."""
    store.withdraw(NO)
    store.withdraw(NO)

    assert store.outbox.pending() == (NO,)


def test_a_local_denial_lasts_until_the_control_plane_has_it(store: PopStore, clock: ManualClock) -> None:
    """However long the partition: another POP may have refreshed the visitor's token meanwhile."""
    store.withdraw(NO)
    clock.advance(90 * DAY_S)
    store.sweep(clock.now())
    assert store.revocations.denied(VISITOR, 3) == {"behavioral"}

    store.forwarded([(NO, 7)])
    assert store.revocations.denied(VISITOR, 3) == {"behavioral"}
    assert store.revocations.denied(VISITOR, 4) == frozenset()  # a later yes may be at 4: the log says what it took
    clock.advance(DENIAL_KEPT_S + 1)
    store.sweep(clock.now())
    assert store.revocations.denied(VISITOR, 3) == frozenset()
    assert store.outbox.pending() == ()


def test_a_second_withdrawal_does_not_end_with_the_first(store: PopStore, clock: ManualClock) -> None:
    """Forwarding the older one leaves the newer denial without an end."""
    newer = Withdrawal("n" * 22, "0" * 43, VISITOR, 5, ("behavioral",))
    store.withdraw(NO)
    store.withdraw(newer)
    store.forwarded([(NO, 4)])
    clock.advance(DENIAL_KEPT_S + 1)
    store.sweep(clock.now())

    assert store.revocations.denied(VISITOR, 4) == {"behavioral"}


def test_a_refused_withdrawal_stays_in_force(store: PopStore, clock: ManualClock) -> None:
    """The control plane may not know the session; the visitor still said no here."""
    store.withdraw(NO)
    store.forwarded([(NO, "session-unknown")])
    clock.advance(90 * DAY_S)
    store.sweep(clock.now())

    assert store.revocations.denied(VISITOR, 3) == {"behavioral"}
    assert store.outbox.refused() == ((NO, "session-unknown"),)
    assert store.outbox.pending() == ()


def test_a_withdrawal_without_a_known_visitor_is_still_forwarded(store: PopStore) -> None:
    """The session alone names the visitor to the control plane."""
    unknown = Withdrawal("u" * 22, "1" * 43, None, 0, None)

    assert store.withdraw(unknown) == ()
    assert store.outbox.pending() == (unknown,)


def test_refused_withdrawals_of_nobody_do_not_pile_up(store: PopStore, clock: ManualClock) -> None:
    """Invented sessions: what names no visitor is not in force, and leaves the disk after 15 days."""
    invented = Withdrawal("u" * 22, "1" * 43, None, 0, None)
    store.withdraw(invented)
    store.forwarded([(invented, "session-unknown")])
    clock.advance(15 * DAY_S)
    store.sweep(clock.now())

    assert store.outbox.refused() == ()


def test_a_purge_takes_the_visitors_withdrawals_and_sessions_along(store: PopStore, clock: ManualClock) -> None:
    """Nothing that names the visitor is left but the tombstone and what is owed a count."""
    store.sessions.remember(Session("0" * 64, VISITOR, 3, clock.now() + 60))
    store.withdraw(NO)
    store.apply([entry_of(1, "purge", VISITOR, CATEGORIES, 9, 1)], ORIGIN, at(1), at(1), 1)

    assert store.sessions.find("0" * 64) is None
    assert store.outbox.pending() == ()
    assert store.tombstones.holds(VISITOR)


def test_a_tombstone_outlives_every_row_and_then_goes(store: PopStore, clock: ManualClock) -> None:
    """Fifteen days: the longest retention and a day."""
    store.apply([entry_of(1, "purge", VISITOR, CATEGORIES, 9, 1)], ORIGIN, at(1), at(1), 1)
    clock.advance(15 * DAY_S - 1)
    store.sweep(clock.now())
    assert store.tombstones.holds(VISITOR)
    with pytest.raises(Rejected):
        store.history.record(Interaction(VISITOR, 99, "behavioral", "click", "tent"))

    clock.advance(1)
    store.sweep(clock.now())
    assert not store.tombstones.holds(VISITOR)


def test_sessions_rotate_expire_and_never_lose_a_version(store: PopStore, clock: ManualClock) -> None:
    """A rotated hash is gone, an expired one is not found, a lower version changes nothing."""
    store.sessions.remember(Session("1" * 64, VISITOR, 5, clock.now() + 60))
    store.sessions.remember(Session("2" * 64, VISITOR, 6, clock.now() + 60), replaces="1" * 64)
    store.sessions.remember(Session("2" * 64, VISITOR, 4, clock.now() + 60))
    assert store.sessions.find("1" * 64) is None
    assert store.sessions.find("2" * 64) == Session("2" * 64, VISITOR, 6, clock.now() + 60)

    clock.advance(60)
    assert store.sessions.find("2" * 64) is None
    assert store.sessions.sweep() == 1


def test_queue_rows_wait_in_order_until_done(store: PopStore, tmp_path: Path, clock: ManualClock) -> None:
    """Put twice is there once; done is done also after a restart, and forgotten a month later."""
    for key in ("a", "b", "a"):
        store.queue.put("work", key, {"n": key})
    first, second = store.queue.pending("work")
    store.queue.done([first])

    again = reopened(store, tmp_path, clock)
    assert again.queue.pending("work") == (second,)
    again.queue.put("work", "a", {"n": "a"})
    assert again.queue.pending("work") == (second,)
    clock.advance(31 * DAY_S)
    again.sweep()
    again.queue.put("work", "a", {"n": "a"})
    assert [row.key for row in again.queue.pending("work")] == ["b", "a"]
    again.close()


def test_work_that_nobody_consumes_is_swept(store: PopStore, clock: ManualClock) -> None:
    """Nothing trains on a POP's rows yet: a `retrain` row goes after a month, done or not; other work waits."""
    store.queue.put("retrain", "a", {"subject": VISITOR})
    store.queue.put("work", "a", {})
    clock.advance(30 * DAY_S - 1)
    store.sweep()
    assert len(store.queue.pending("retrain")) == 1

    clock.advance(1)
    store.sweep()
    assert store.queue.pending("retrain") == ()
    assert len(store.queue.pending("work")) == 1


def test_applying_entries_twice_changes_nothing(store: PopStore, clock: ManualClock) -> None:
    """What a restored backup makes a POP do."""
    entries = [
        session_entry(1, VISITOR, ("behavioral",), 5),
        entry_of(2, "purge", SUBJECTS[1], CATEGORIES, 9, 1),
    ]
    store.history.record(Interaction(VISITOR, 4, "behavioral", "click", "tent"))
    store.apply(entries, ORIGIN, at(2), at(2), 1)
    rows = store.queue.pending("retrain"), store.erasures.owed()
    store.apply(entries, ORIGIN, at(2), at(2), 1)

    assert (store.queue.pending("retrain"), store.erasures.owed()) == rows
    assert (len(rows[0]), {owed.subject for owed in rows[1]}) == (1, {SUBJECTS[1]})


def test_a_file_of_a_later_version_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    """Better no POP than one that misreads its own promises."""
    path = tmp_path / "pop.db"
    PopStore(path, clock).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(Unavailable) as refusal:
        PopStore(path, clock)
    assert refusal.value.code == "store-version"


def test_a_damaged_file_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    """An error of ours, not SQLite's."""
    path = tmp_path / "pop.db"
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises(Unavailable) as refusal:
        PopStore(path, clock)
    assert refusal.value.code == "store-io"


def test_a_promise_cannot_hide_in_a_transaction_that_may_be_lost(store: PopStore) -> None:
    """A durable change inside one that is not is a mistake of the caller."""
    with (
        pytest.raises(RuntimeError, match="durable"),
        store.database.transaction(durable=False),
        store.database.transaction(),
    ):
        pass


def test_only_this_user_reads_the_file(store: PopStore, tmp_path: Path) -> None:
    """What a pseudonym did here is hidden from other users of a shared machine."""
    store.withdraw(NO)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("pop.db*")} == {0o600}
