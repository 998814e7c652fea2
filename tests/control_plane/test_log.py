"""The revocation log over both stores: gapless, in order, pruned without losing anything, truthful about its head."""

import asyncio
import contextlib
import threading
from dataclasses import replace

import pytest

from consent_core.errors import Untrusted
from consent_core.formats.revocation import EVERY_VERSION, open_answer, open_snapshot, subject_of
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from control_plane.app import create_app
from control_plane.log.log import ROWS_GONE_S, TOKENS_GONE_S, RevocationLog
from tests.control_plane.conftest import Browser, poll, publish_like

WRITERS, EACH = 3, 25


def test_writers_and_a_poller_at_once_skip_nothing(either_plane):
    """Several threads append while one polls: every number once, in order, each answer without a gap."""
    plane = either_plane
    seen: list[int] = []
    stop = threading.Event()

    def write(writer: int) -> None:
        for number in range(EACH):
            with plane.log.writing() as writing:
                writing.append("model", f"model-{writer}-{number}")

    def read() -> None:
        while not stop.is_set() or poll(plane, len(seen)).entries:
            seen.extend(entry.seq for entry in poll(plane, len(seen)).entries)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()

    assert seen == list(range(1, WRITERS * EACH + 2))
    assert len({entry.subject for entry in poll(plane).entries}) == WRITERS * EACH + 1


def test_a_transaction_that_fails_takes_no_number(either_plane):
    """Numbers are given back with everything else."""
    plane = either_plane
    with contextlib.suppress(RuntimeError), plane.log.writing() as writing:
        writing.append("model", "lost")
        raise RuntimeError
    with plane.log.writing() as writing:
        assert writing.append("model", "kept").seq == 2

    assert [entry.subject for entry in poll(plane, 1).entries] == ["kept"]


def test_two_control_planes_on_one_store_share_one_log(either):
    """Any number of processes: the numbers come from the store."""
    planes = [create_app(either), create_app(either)]
    for number in range(4):
        with planes[number % 2].log.writing() as writing:
            writing.append("model", f"model-{number}")

    assert [entry.seq for entry in poll(planes[0]).entries] == [1, 2, 3, 4, 5]
    assert poll(planes[0]).origin == poll(planes[1]).origin
    for plane in planes:
        plane.close()


def test_a_long_log_takes_several_answers(plane):
    """Each answer is without a gap and says how far there is to go."""
    with plane.log.writing() as writing:
        for number in range(7):
            writing.append("model", f"model-{number}")
    reply = plane.log.reply(2, "n", limit=3)
    answer = open_answer(reply.body, plane.keys.trust_file(), "n", after=2, now=0, revoked=frozenset())

    assert ([entry.seq for entry in answer.entries], answer.head) == ([3, 4, 5], 8)


def test_a_poller_from_another_future_is_told_the_signed_head(plane):
    """A POP that has seen more than this log ever gave talks to a restored backup: the signature says how far it is."""
    reply = plane.log.reply(2, "n")
    answer = open_answer(reply.body, plane.keys.trust_file(), "n", 0, frozenset())

    assert (reply.status, answer.head, answer.entries) == (409, 1, ())


def test_the_origin_is_made_once_per_store(settings, tmp_path):
    """A restart keeps it, a new store has another."""
    moved = replace(settings, database_url=f"sqlite:///{tmp_path / 'other.db'}")
    publish_like(settings, moved)
    first, again, other = create_app(settings), create_app(settings), create_app(moved)

    assert poll(first).origin == poll(again).origin != poll(other).origin
    for plane in (first, again, other):
        plane.close()


def test_a_rotated_log_key_signs_from_then_on(plane):
    """Old answers stay good for the overlap, no longer."""
    old = plane.log.reply(0, "n").body
    plane.keys.rotate("log", overlap_s=60)
    trust, now = plane.keys.trust_file(), plane.settings.clock.now()

    assert open_answer(old, trust, "n", now=now + 59, revoked=frozenset()).kid != poll(plane).kid
    with pytest.raises(Untrusted):
        open_answer(old, trust, "n", now=now + 60, revoked=frozenset())


# Pruning.


def withdrawn(plane) -> Browser:
    visitor = Browser(plane)
    visitor.grant(*CATEGORIES)
    visitor.withdraw()
    return visitor


def test_pruned_entries_are_answered_by_a_snapshot(either_plane):
    """Sessions go, keys, models, purges and policies stay; polling goes on from `through` without a gap."""
    plane = either_plane
    purged = withdrawn(plane)
    plane.revoking.revoke(RevocationRequest("purge", subject_of(purged.sub)))
    plane.revoking.revoke(RevocationRequest("model", "model-v1"))
    withdrawn(plane)
    plane.settings.clock.advance(ROWS_GONE_S + 1)
    withdrawn(plane)

    assert plane.log.prune() == 2
    reply = plane.log.reply(1, "n")
    snapshot = open_snapshot(reply.body, plane.keys.trust_file(), "n", now=0, revoked=frozenset())
    assert reply.is_snapshot
    assert [entry.kind for entry in snapshot.entries] == ["policy", "purge", "model"]
    assert (snapshot.through, snapshot.head) == (5, 6)
    assert [entry.seq for entry in poll(plane, snapshot.through).entries] == [6]


def test_session_entries_stay_until_no_pop_can_hold_what_they_delete(plane):
    """A POP that was cut off, or restored from a backup, still learns of every withdrawal within its retention."""
    withdrawn(plane)
    plane.settings.clock.advance(ROWS_GONE_S)

    assert plane.log.prune() == 0
    assert len(poll(plane).entries) == 2


def test_session_entries_outlive_two_token_lifetimes_at_least(plane):
    """A deployment may prune earlier, but never while a token below the entry could be alive."""
    with pytest.raises(ValueError, match="two token lifetimes"):
        RevocationLog(plane.database, plane.keys, plane.settings.clock, TOKENS_GONE_S - 1)
    log = RevocationLog(plane.database, plane.keys, plane.settings.clock, TOKENS_GONE_S)
    withdrawn(plane)
    plane.settings.clock.advance(TOKENS_GONE_S)

    assert log.prune() == 0
    plane.settings.clock.advance(1)
    assert log.prune() == 1


def test_pruning_twice_never_goes_back(plane):
    """`through` only rises, whatever the clock did in between."""
    withdrawn(plane)
    plane.settings.clock.wall -= 1_000
    withdrawn(plane)
    plane.settings.clock.wall += 1_000 + ROWS_GONE_S
    assert plane.log.prune() == 1
    plane.settings.clock.advance(1)
    assert plane.log.prune() == 1

    assert (
        open_snapshot(plane.log.reply(0, "n").body, plane.keys.trust_file(), "n", now=0, revoked=frozenset()).through
        == 3
    )


# What an operator revokes.


def test_repeating_a_revocation_adds_nothing(either_plane):
    """A command whose answer was lost may be sent again."""
    plane = either_plane
    visitor = Browser(plane)
    visitor.grant(*CATEGORIES)
    subject = subject_of(visitor.sub)
    requests = [
        RevocationRequest("session", subject, ("behavioral",)),
        RevocationRequest("purge", subject, CATEGORIES),
        RevocationRequest("model", "model-v1"),
        RevocationRequest("key", plane.keys.current("token").kid),
        RevocationRequest("key", "serial:0badc0de"),
    ]
    first = [plane.revoking.revoke(request) for request in requests]
    again = [plane.revoking.revoke(request) for request in requests]

    assert first == again
    assert poll(plane).head == 1 + len(requests)


def test_a_purge_deletes_the_identity(plane, browser, refused):
    """Records, sessions and keys of withdrawals go; the old cookie begins a new identity; no token version is good."""
    visitor = browser()
    before = visitor.grant(*CATEGORIES)
    visitor.withdraw("experimental")
    entry = plane.revoking.revoke(RevocationRequest("purge", subject_of(visitor.sub)))

    assert (entry.ver, entry.categories) == (EVERY_VERSION, CATEGORIES)
    refused("session-unknown", 404, visitor.refresh)
    after = visitor.grant("contextual")
    assert (after.ver, after.sub == before.sub) == (1, False)


def test_a_purge_leaves_nothing_of_the_visitor_in_the_store(plane, browser):
    """Not in a free page, not in the write-ahead log once it is folded in."""
    visitor = browser()
    answer = visitor.grant(*CATEGORIES)
    plane.revoking.revoke(RevocationRequest("purge", subject_of(answer.sub)))
    with plane.database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in plane.settings.home.glob("consent.db*"))

    assert answer.sub.encode() not in stored
    assert visitor.session.encode() not in stored
    assert answer.receipt.encode() not in stored


def test_an_operator_takes_one_category(plane, browser, entries):
    """As a withdrawal would: next version, entry, nothing for what the visitor does not have."""
    visitor = browser()
    visitor.grant("contextual", "behavioral")
    entry = plane.revoking.revoke(RevocationRequest("session", subject_of(visitor.sub), ("behavioral",)))

    assert (entry.categories, entry.ver) == (("behavioral",), 2)
    assert visitor.refresh().categories == ("contextual",)


def test_nobody_to_revoke_is_said(plane, refused):
    """A misspelt visitor or key is no success."""
    revoke = plane.revoking.revoke
    refused("visitor-unknown", 404, revoke, RevocationRequest("session", "ab" * 32, CATEGORIES))
    refused("visitor-unknown", 404, revoke, RevocationRequest("purge", "ab" * 32, CATEGORIES))
    refused("key-unknown", 404, revoke, RevocationRequest("key", "token-misspelt"))


def test_a_visitor_known_only_to_the_log_can_still_be_purged(plane):
    """A POP may hold rows of somebody whose record ran out here."""
    with plane.log.writing() as writing:
        writing.append("session", "ab" * 32, CATEGORIES, 1)

    assert plane.revoking.revoke(RevocationRequest("purge", "ab" * 32, CATEGORIES)).seq == 3


def test_a_revoked_signing_key_signs_nothing_more(plane, browser):
    """A new key takes over before the entry is written, and leaves the published set at once."""
    old = plane.keys.current("token").kid
    plane.revoking.revoke(RevocationRequest("key", old))

    assert plane.keys.current("token").kid != old
    assert old in plane.log.revoked_keys()
    assert browser().grant("contextual").token is not None


# Waiting.


def test_waiting_ends_with_the_process(plane):
    """Open streams and long polls do not hold a stop up."""

    async def scenario() -> int:
        waiting = asyncio.create_task(plane.log.hints.beyond(5, 3600))
        await asyncio.sleep(0)
        plane.log.hints.close()
        return await waiting

    assert asyncio.run(asyncio.wait_for(scenario(), 240)) <= 1


def test_a_stream_that_nobody_reads_is_forgotten(plane):
    """A closed stream leaves no waiter behind."""

    async def scenario() -> None:
        stream = plane.log.hints.stream()
        assert await anext(stream) == b'event: head\ndata: {"head": 1}\n\n'
        await stream.aclose()

    asyncio.run(scenario())
    assert plane.log.hints._waiters == set()
