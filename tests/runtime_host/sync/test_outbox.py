"""A "no" said at a POP: in force at once, forwarded once, whatever the network does."""

import asyncio

import pytest

from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Withdrawal
from tests.runtime_host.sync.toy_plane import VISITOR, World

NO = Withdrawal("k" * 22, "0" * 64, VISITOR, 4)


def forward(world: World) -> int:
    return asyncio.run(world.sync.forward())


def test_a_withdrawal_needs_no_control_plane(world: World) -> None:
    """Cut off: denied at once, told to open pages, kept for later, also across a restart."""
    heard = []
    world.sync.subscribe(heard.append)
    world.network.cut = True
    world.sync.withdraw(NO)
    assert world.sync.denied(VISITOR, 3) == set(CATEGORIES)
    assert [(change.seq, change.subject) for change in heard] == [(None, VISITOR)]
    with pytest.raises(Unavailable):
        forward(world)

    world.restart()
    assert world.sync.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.sync.status().outbox_pending == 1


def test_it_is_forwarded_once_when_healed(world: World) -> None:
    """And then the log says the same, to every POP."""
    world.network.cut = True
    world.sync.withdraw(NO)
    with pytest.raises(Unavailable):
        forward(world)
    world.network.cut = False

    assert forward(world) == 1
    assert forward(world) == 0
    assert world.plane.attempts == [NO.key]
    assert (world.sync.status().outbox_pending, world.sync.status().outbox_refused) == (0, 0)
    asyncio.run(world.sync.poll())
    assert world.sync.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.store.revocations.position.position == 1


def test_a_lost_answer_makes_it_arrive_twice_and_count_once(world: World) -> None:
    """Both times under the same key."""
    world.sync.withdraw(NO)
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
    world.sync.withdraw(NO)

    assert forward(world) == 1
    assert forward(world) == 0
    assert world.sync.denied(VISITOR, 3) == set(CATEGORIES)
    assert world.sync.status().outbox_refused == 1
    assert world.store.outbox.refused() == ((NO, "session-unknown"),)


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(world: World, status: int) -> None:
    """An identity being rotated or a busy server is no answer to a withdrawal."""
    world.plane.refuse_withdrawals = status
    world.sync.withdraw(NO)
    with pytest.raises(Unavailable):
        forward(world)

    world.plane.refuse_withdrawals = 0
    assert forward(world) == 1
    assert list(world.plane.withdrawals) == [NO.key]


def test_withdrawals_arrive_in_the_order_they_were_said(world: World) -> None:
    """Categories narrowed step by step end where the visitor ended."""
    for number in range(250):
        world.sync.withdraw(Withdrawal(f"key-{number:020}", "0" * 64, None, 0, ("behavioral",)))
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
