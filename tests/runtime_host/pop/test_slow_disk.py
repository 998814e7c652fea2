"""A slow or locked disk holds up requests that write, and no others."""

import asyncio
import contextlib
import sqlite3
import threading

import pytest

from runtime_host.pop.stores import Withdrawal
from tests.runtime_host.pop.shop import HERO


@contextlib.contextmanager
def locked(edge):
    """Another process holds the lock of pop.db."""
    with contextlib.closing(sqlite3.connect(edge.pop.config.home / "pop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_with_a_locked_store_only_those_wait_who_write(shop, run):
    """Fifty anonymous visitors are answered while a yes and a "no" still wait; then these are too."""
    first, second = shop.browser(), shop.browser()
    run(first.grant("contextual"))
    shop.pop.store.database._connection.execute("PRAGMA busy_timeout=600000")  # however loaded this machine is

    async def scenario():
        with locked(shop):
            writing = [asyncio.create_task(first.withdraw()), asyncio.create_task(second.grant("contextual"))]
            served = [(await shop.browser().ask("GET", HERO)).status for _ in range(50)]
            waited = [task.done() for task in writing]
        return served, waited, [reply.status for reply in await asyncio.gather(*writing)]

    served, waited, written = run(scenario())

    assert served == [200] * 50
    assert waited == [False, False]
    assert written[0] in (200, 202)  # how soon the control plane hears of it is not this test's business
    assert written[1] == 200


def test_with_a_disk_that_does_not_come_back_personalised_visitors_are_served_too(edge, run):
    """What a decision reads is read on a connection of its own."""

    async def scenario():
        began, release = threading.Event(), threading.Event()

        def fsync():
            with edge.pop.store.database.transaction():
                began.set()
                release.wait()

        slow = asyncio.create_task(edge.pop.store.database.writer.run(fsync, alone=True))
        await asyncio.to_thread(began.wait)
        shown = [await edge.get("/v1/slots/home-hero?section=camping", edge.token("contextual")) for _ in range(5)]
        done = slow.done()
        release.set()
        await slow
        return [reply.json()["category"] for reply in shown], done

    assert run(scenario()) == (["contextual"] * 5, False)


@pytest.mark.parametrize("task", [lambda sync: sync.outgoing.forward(), lambda sync: sync.report()])
def test_a_periodic_task_without_anything_to_write_does_not_touch_a_locked_store(edge, run, task):
    """An idle POP takes no lock, and waits for none."""
    before = edge.pop.store.database._connection.total_changes
    with locked(edge):
        run(task(edge.pop.sync))

    assert edge.pop.store.database._connection.total_changes == before


def test_a_no_is_told_to_open_pages_though_its_caller_has_gone(edge, run):
    """The visitor closed the tab in the middle: the change is carried out and announced."""
    heard = []
    edge.pop.sync.changes.subscribe(lambda change: heard.append(change.kind))

    async def scenario():
        no = asyncio.create_task(edge.pop.sync.outgoing.say(Withdrawal("k" * 22, "w" * 43, "a" * 64, 4)))
        await asyncio.sleep(0)
        no.cancel()
        while not heard:  # noqa: ASYNC110 - a thread decides when
            await asyncio.sleep(0.01)

    run(scenario())

    assert heard == ["session"]
