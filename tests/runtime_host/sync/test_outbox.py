"""A "no" said at a POP: in force at once and forwarded once, over any network."""

import asyncio
import gc
import os

import httpx
import pytest

from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import PopStore, Withdrawal
from runtime_host.pop.stores.outbox import LEASE_S
from runtime_host.pop.stores.shared_state import SharedState
from tests.runtime_host.sync.toy_plane import VISITOR, World

NO = Withdrawal("k" * 22, "0" * 43, VISITOR, 4)


def forward(world: World) -> int:
    return asyncio.run(world.sync.outgoing.forward())


def test_a_withdrawal_needs_no_control_plane(world: World) -> None:
    """Cut off: denied at once, told to open pages, kept for later, also across a restart."""
    heard = []
    world.sync.changes.subscribe(heard.append)
    world.network.cut = True
    world.sync.outgoing.withdraw(NO)
    assert world.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)
    assert [(change.seq, change.subject) for change in heard] == [(None, VISITOR)]
    with pytest.raises(Unavailable):
        forward(world)

    world.restart()
    assert world.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.sync.status().outbox_pending == 1


def test_it_is_forwarded_once_when_healed(world: World) -> None:
    """And then the log says the same, to every POP."""
    world.network.cut = True
    world.sync.outgoing.withdraw(NO)
    with pytest.raises(Unavailable):
        forward(world)
    world.network.cut = False

    assert forward(world) == 1
    assert forward(world) == 0
    assert world.plane.attempts == [NO.key]
    assert (world.sync.status().outbox_pending, world.sync.status().outbox_refused) == (0, 0)
    asyncio.run(world.sync.poll())
    assert world.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.store.log.position.position == 1


def test_a_lost_answer_makes_it_arrive_twice_and_count_once(world: World) -> None:
    """Both times under the same key."""
    world.sync.outgoing.withdraw(NO)
    world.network.lose_answers = True
    with pytest.raises(Unavailable):
        forward(world)
    world.network.lose_answers = False
    forward(world)

    assert world.plane.attempts == [NO.key, NO.key]
    assert list(world.plane.withdrawals) == [NO.key]
    assert len(world.plane.entries) == 1


def test_what_is_refused_for_good_stays_in_force_here(world: World) -> None:
    """Not retried, shown to the operator, still denied."""
    world.plane.refuse_withdrawals = 404
    world.sync.outgoing.withdraw(NO)

    assert forward(world) == 1
    assert forward(world) == 0
    assert world.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.sync.status().outbox_refused == 1
    assert world.store.outbox.refused() == ((NO, "session-unknown"),)


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(world: World, status: int) -> None:
    """An identity being rotated or a busy server is no answer to a withdrawal."""
    world.plane.refuse_withdrawals = status
    world.sync.outgoing.withdraw(NO)
    with pytest.raises(Unavailable):
        forward(world)

    world.plane.refuse_withdrawals = 0
    assert forward(world) == 1
    assert list(world.plane.withdrawals) == [NO.key]


def test_withdrawals_arrive_in_the_order_they_were_said(world: World) -> None:
    """Categories narrowed step by step end where the visitor ended."""
    for number in range(250):
        world.sync.outgoing.withdraw(Withdrawal(f"key-{number:020}", "0" * 43, None, 0, ("behavioral",)))
    assert forward(world) == 250
    assert world.plane.attempts == sorted(world.plane.attempts)


def test_receipts_of_purges_are_reported_until_they_are_answered(world: World) -> None:
    """Each POP says what it deleted; a lost report is repeated, an answered one is not."""
    world.plane.log("purge", VISITOR, CATEGORIES, 9)
    asyncio.run(world.sync.poll())
    world.network.cut = True
    with pytest.raises(Unavailable):
        asyncio.run(world.sync.report())
    world.network.cut = False
    asyncio.run(world.sync.report())
    asyncio.run(world.sync.report())

    first, second = world.plane.reports
    assert [receipt["subject"] for receipt in first["receipts"]] == [VISITOR]
    assert (first["revocation_seq"], second["receipts"]) == (1, [])


def worker_state() -> SharedState:
    """Of a process that is not the first: it frees no rows at its start."""
    return SharedState.join(os.dup(SharedState.make(2).fd), 1, 2)


def queued(world: World, many: int, start: int = 0) -> list[Withdrawal]:
    noes = [Withdrawal(f"key-{n:020}", "w" * 43, None, 0, number=n + 1) for n in range(start, start + many)]
    for no in noes:
        world.sync.outgoing.withdraw(no)
    return noes


def test_many_withdrawals_travel_together(world: World) -> None:
    """A burst does not wait for one round trip each: 600 are three requests."""
    queued(world, 600)

    assert forward(world) == 600
    assert sorted(world.plane.batches) == [88, 256, 256]
    assert len(world.plane.withdrawals) == 600


def test_a_bad_row_blocks_no_other(world: World) -> None:
    """Each row has an answer of its own."""
    noes = queued(world, 5)
    world.plane.unknown = {noes[2].key}

    assert forward(world) == 5
    assert world.store.outbox.refused() == ((noes[2], "session-unknown"),)
    assert sorted(world.plane.withdrawals) == [no.key for no in noes if no is not noes[2]]


def test_a_refusal_of_the_whole_is_narrowed_to_the_row_that_causes_it(world: World) -> None:
    """The halves are sent apart: the others count, and the outbox does not stand still for ever."""
    noes = queued(world, 9)
    real = world.plane.serve

    def serve(request):
        if noes[6].key.encode() in request.content:
            return httpx.Response(400, json={"error": {"code": "bad-request", "message": ""}})
        return real(request)

    world.plane.serve = serve  # type: ignore[method-assign]
    assert forward(world) == 9
    assert world.store.outbox.refused() == ((noes[6], "bad-request"),)
    assert len(world.plane.withdrawals) == 8


def test_a_row_has_one_sender(world: World) -> None:
    """Two processes of one POP empty one outbox: each withdrawal is sent once."""
    queued(world, 300)
    with PopStore(world.home / "pop.db", world.clock) as other:  # as after a restart: every row is free
        first, second = other.outbox.claim(200), world.store.outbox.claim(200)
        assert [len(first.withdrawals), len(second.withdrawals)] == [200, 100]
        assert not {w.key for w in first.withdrawals} & {w.key for w in second.withdrawals}
        assert world.store.outbox.claim().withdrawals == ()
        other.outbox.release(first)
    assert len(world.store.outbox.claim().withdrawals) == 200


def test_what_a_process_was_told_it_sends_itself(world: World) -> None:
    """So who waits for an answer need not wait for another process."""
    with PopStore(world.home / "pop.db", world.clock) as other:
        queued(world, 3)
        assert other.outbox.claim().withdrawals == ()
        assert len(world.store.outbox.claim().withdrawals) == 3


def test_rows_of_a_process_that_died_are_sent_by_another(world: World) -> None:
    """After the lease, also where the wall clock was set back meanwhile."""
    queued(world, 3)
    assert len(world.store.outbox.claim().withdrawals) == 3
    with PopStore(world.home / "pop.db", world.clock, worker_state()) as other:
        world.clock.advance(LEASE_S)
        assert other.outbox.claim().withdrawals == ()
        world.clock.advance(1)
        mine = other.outbox.claim()
        assert len(mine.withdrawals) == 3
        world.clock.wall -= 3_600
        assert len(world.store.outbox.claim().withdrawals) == 3


def test_a_key_counts_once_for_each_visitor(world: World) -> None:
    """One browser's cookie brings the same key for its old and its new identity: both said no."""
    for subject in (VISITOR, VISITOR, "b" * 64):
        world.sync.outgoing.withdraw(Withdrawal("k" * 22, "w" * 43, subject, 4))

    assert [w.subject for w in world.store.outbox.pending()] == [VISITOR, "b" * 64]


def test_how_long_the_oldest_waits_is_told(world: World) -> None:
    """For metrics, `/readyz` and the operator."""
    assert world.sync.status().outbox_oldest_s == 0
    queued(world, 1)
    world.clock.advance(70)
    queued(world, 1, 1)

    assert (world.sync.status().outbox_pending, world.sync.status().outbox_oldest_s) == (2, 70)
    forward(world)
    assert world.sync.status().outbox_oldest_s == 0


def test_who_waits_for_a_withdrawal_hears_when_it_arrived(world: World) -> None:
    """Or that it has to wait."""

    async def said(no: Withdrawal) -> bool:
        world.sync.outgoing.withdraw(no)
        return await world.sync.outgoing.has_forwarded([no], 5.0)

    assert asyncio.run(said(NO)) is True
    assert asyncio.run(said(NO)) is True  # long there
    world.network.cut = True
    assert asyncio.run(said(Withdrawal("m" * 22, "w" * 43, VISITOR, 5))) is False


def test_a_disk_that_refuses_does_not_keep_a_no_from_the_control_plane(world: World) -> None:
    """Told at once, in one request, from nowhere but memory."""
    world.store.database._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(Unavailable):
        world.sync.outgoing.withdraw(NO)
    assert asyncio.run(world.sync.outgoing.tell_at_once([NO])) is True
    assert list(world.plane.withdrawals) == [NO.key]


def test_batches_that_fail_together_are_one_failure(world: World) -> None:
    """All of them wait for the next time, and none ends as an exception that no code looked at."""
    with world.store.database.transaction():
        for n in range(600):
            world.store.outbox.add(Withdrawal(f"key-{n:020}", "w" * 43, None, 0, number=n + 1))
    world.network.cut = True
    unseen: list[str] = []

    async def forward_watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context["message"]))
        for _ in range(2):  # the second one lets go of what the first one held
            with pytest.raises(Unavailable):
                await world.sync.outgoing.forward()
        gc.collect()

    asyncio.run(forward_watched())

    assert unseen == []
    assert world.store.outbox.waiting()[0] == 600


def test_ten_thousand_withdrawals_leave_in_forty_requests(world: World) -> None:
    """The budget in `benches/` is this with a network in between; here nothing is slower than its own work."""
    with world.store.database.transaction():
        for n in range(10_000):
            world.store.outbox.add(Withdrawal(f"key-{n:020}", "w" * 43, None, 0, number=n + 1))

    assert forward(world) == 10_000
    assert len(world.plane.batches) == 40
    assert world.store.outbox.waiting() == (0, None)
