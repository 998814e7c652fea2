"""A worker's sync room: what any process of the POP has put in force holds at the next question."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from runtime_host.pop.erasing import ErasedParts, erasing_of
from runtime_host.pop.evidence.erasing import Memory
from runtime_host.pop.stores import Interaction, PopStore, Withdrawal
from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.sync import Sync, SyncConfig
from runtime_host.pop.sync.policy import FILE
from runtime_host.pop.sync.worker import LOOK_EVERY_S, WorkerSync
from simulator.virtual.time import run_virtual
from tests.runtime_host.sync.toy_plane import VISITOR, Network, ToyPlane, open_toy_bundle, policy_hash

NO = Withdrawal("k" * 22, "0" * 43, VISITOR, 4, ("behavioral",))
OTHER = "b" * 64


@dataclass
class Pair:
    """A lead and a worker on one `pop.db`, each with its own connection and its own view of the shared_state."""

    home: Path
    clock: ManualClock
    plane: ToyPlane
    network: Network
    client: httpx.AsyncClient
    shared_state: SharedState
    lead: Sync
    worker: WorkerSync
    asked: list[Any] = field(default_factory=list)

    def sync(self) -> None:
        async def every_task() -> None:
            await self.lead.fetch_policy()
            await self.lead.fetch_keys()
            await self.lead.poll()

        asyncio.run(every_task())

    def poll(self) -> None:
        asyncio.run(self.lead.poll())


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Nothing was heard of the control plane yet; policy 1 is published."""
    clock, home = ManualClock(), tmp_path / "pops" / "tokyo-1"
    plane = ToyPlane(KeyStore.open(tmp_path, create=True, clock=clock), clock)
    plane.publish(1)
    network, asked = Network(plane), []
    client = httpx.AsyncClient(transport=network, base_url="http://control-plane")
    config, trust = SyncConfig(pop="tokyo-1", home=home, push=False), plane.keys.trust_file()
    shared_state = SharedState.make(2)
    joined = SharedState.join(os.dup(shared_state.fd), 1, 2)
    lead = Sync(config, PopStore(home / "pop.db", clock, shared_state), trust, client, clock, opener=open_toy_bundle,
                shared_state=shared_state)  # fmt: skip
    worker = WorkerSync(config, PopStore(home / "pop.db", clock, joined), trust, client, clock, shared_state=joined,
                     ask=asked.append, opener=open_toy_bundle)  # fmt: skip
    yield Pair(home, clock, plane, network, client, shared_state, lead, worker, asked)
    for sync in (lead, worker):
        sync.store.close()
    for one in (joined, shared_state):
        one.close()


def test_a_new_shared_state_is_out_of_sync_with_any_store_on_disk(pair: Pair) -> None:
    """Zeros are not fresh: an earlier run's policy and keys open nothing."""
    assert not pair.worker.trust_state.in_sync()
    pair.sync()
    assert pair.worker.trust_state.in_sync()

    fresh = SharedState.make(2)
    later = WorkerSync(pair.worker.config, pair.worker.store, pair.plane.keys.trust_file(), pair.client,
                    pair.clock, shared_state=fresh, ask=print, opener=open_toy_bundle)  # fmt: skip
    assert (later.trust_state.policy is not None, later.trust_state.in_sync()) == (True, False)
    pair.clock.boot = 10.0  # a machine that has just started: zero is not long ago
    assert not later.trust_state.in_sync()
    fresh.close()


def test_the_leads_word_ages_at_the_worker(pair: Pair) -> None:
    """Counted from when the poll was sent, to the second; so a worker whose lead says nothing more closes."""
    pair.network.hold = lambda: pair.clock.advance(2)
    pair.sync()
    pair.clock.advance(57.9)
    assert pair.worker.trust_state.in_sync()
    pair.clock.advance(0.1)
    assert not pair.worker.trust_state.in_sync()


def test_a_word_from_the_future_is_not_believed(pair: Pair) -> None:
    """Another machine's clock, say: it would stay fresh for too long."""
    pair.sync()
    pair.shared_state.tell(pair.clock.elapsed() + 1, None, None)
    assert not pair.worker.trust_state.in_sync()


def test_an_alarm_at_the_lead_closes_the_worker_at_once(pair: Pair) -> None:
    """The log went back: the worker closes before 60 s have passed."""
    pair.plane.revoke()
    pair.sync()
    pair.plane.entries.pop()
    with pytest.raises(Exception, match="the head went back"):
        pair.poll()
    assert not pair.worker.trust_state.in_sync()


def test_a_demanded_policy_that_does_not_come_closes_the_worker(pair: Pair) -> None:
    """As at the lead, 60 s after it was first found lacking."""
    pair.sync()
    pair.plane.log("policy", policy_hash(2))
    for _ in range(12):
        pair.poll()
        assert (pair.worker.trust_state.in_sync(), pair.lead.trust_state.in_sync()) == (True, True)
        pair.clock.advance(5)
    pair.poll()
    assert (pair.worker.trust_state.in_sync(), pair.lead.trust_state.in_sync()) == (False, False)

    pair.plane.publish(2)
    pair.sync()
    assert pair.worker.trust_state.in_sync()


def test_a_withdrawal_at_the_worker_is_in_force_everywhere_when_it_returns(pair: Pair) -> None:
    """Denied, and the generation has moved, in both directions."""
    pair.sync()
    for here, there, withdrawal in (
        (pair.worker, pair.lead, NO),
        (pair.lead, pair.worker, Withdrawal("l" * 22, "1" * 43, OTHER, 9)),
    ):
        before = there.trust_state.generation, here.trust_state.generation
        here.outgoing.withdraw(withdrawal)
        assert there.trust_state.generation > before[0]
        assert here.trust_state.generation > before[1]
        expected = frozenset(withdrawal.categories or CATEGORIES)
        assert (
            there.trust_state.denied(withdrawal.subject, 3)
            == here.trust_state.denied(withdrawal.subject, 3)
            == expected
        )
    assert pair.lead.trust_state.denied(VISITOR, 4) == frozenset()  # a later grant stands


def test_the_log_reaches_the_worker(pair: Pair) -> None:
    """A visitor's categories, a key, an erased visitor: each raises the generation and holds at the next question."""
    pair.sync()
    kid = pair.plane.keys.current("token").kid
    for change, holds in (
        (lambda: pair.plane.revoke(), lambda: pair.worker.trust_state.denied(VISITOR, 4) == frozenset(CATEGORIES)),
        (
            lambda: pair.plane.log("key", kid),
            lambda: pair.worker.trust_state.key_revoked(kid) and not pair.worker.trust_state.keys(),
        ),
        (
            lambda: pair.plane.log("purge", OTHER, CATEGORIES, 9),
            lambda: len(pair.worker.trust_state.denied(OTHER, 99)) == 3,
        ),
    ):
        before = pair.worker.trust_state.generation
        assert not holds()
        change()
        pair.poll()
        assert pair.worker.trust_state.generation > before
        assert holds()


def test_policy_and_keys_are_taken_over_before_the_next_answer(pair: Pair) -> None:
    """No question is answered by the old ones once the lead has the new ones."""
    pair.sync()
    assert pair.worker.trust_state.hash_status(policy_hash(1)) == "current"
    before = pair.worker.trust_state.generation
    pair.plane.publish(2)
    pair.clock.advance(1)
    new = pair.plane.keys.rotate("token", overlap_s=600).kid
    pair.sync()

    assert pair.worker.trust_state.generation > before
    assert [pair.worker.trust_state.hash_status(policy_hash(n)) for n in (1, 2, 3)] == ["older", "current", "unknown"]
    assert pair.worker.trust_state.policy.revision == 2
    known = pair.worker.trust_state.keys()
    assert new in [key.kid for key in known]


@pytest.mark.parametrize("file", [FILE, "jwks.json"])
def test_what_cannot_be_read_closes_the_worker_until_it_can(pair: Pair, file: str) -> None:
    """And everything is looked at again then: the generation moves."""
    pair.clock.advance(1)
    pair.plane.keys.rotate("token", overlap_s=600)
    pair.sync()
    kept = (pair.home / file).read_bytes()
    (pair.home / file).write_bytes(b'{"signed": false}')
    pair.shared_state.announce(Mark.POLICY if file == FILE else Mark.KEYS)
    assert not pair.worker.trust_state.in_sync()
    before = pair.worker.trust_state.generation

    (pair.home / file).write_bytes(kept)
    pair.clock.advance(1)
    assert pair.worker.trust_state.in_sync()
    assert pair.worker.trust_state.generation > before
    assert pair.worker.trust_state.hash_status(policy_hash(1)) == "current"


def test_a_table_that_cannot_be_read_denies(pair: Pair) -> None:
    """By an error: the answer never says that nothing was taken back."""
    pair.sync()
    pair.worker.store.close()
    with pytest.raises(Unavailable):
        pair.worker.trust_state.denied(VISITOR, 1)
    pair.shared_state.announce(Mark.KEYS)
    for _ in range(2):  # not only the first time
        with pytest.raises(Unavailable):
            pair.worker.trust_state.key_revoked("k")


def test_the_signed_time_holds_at_the_worker(pair: Pair) -> None:
    """A wall clock put back makes no expired token live again."""
    pair.sync()
    signed = pair.clock.now()
    pair.clock.wall -= 500
    pair.clock.boot += 7
    assert pair.worker.trust_state.now() == signed + 7


def test_the_worker_asks_its_lead_and_not_too_often(pair: Pair) -> None:
    """Ten thousand invented keys and hashes are one message each."""
    for number in range(10_000):
        pair.worker.fetches.request_key(f"made-up-{number}")
        pair.worker.trust_state.request_sync()
    assert pair.asked == [{"kind": "want-key", "kid": "made-up-0"}, {"kind": "want-policy"}]
    pair.clock.advance(1)
    pair.worker.trust_state.request_sync()
    assert len(pair.asked) == 3


def test_a_visitor_of_a_worker_waits_until_the_lead_has_the_key(pair: Pair) -> None:
    """The lead's mark ends the wait at the worker's next look, long before half a second is over."""
    pair.sync()
    pair.clock.advance(1)
    new = pair.plane.keys.rotate("token", overlap_s=600).kid

    async def scenario() -> tuple[bool, float]:
        running = asyncio.create_task(pair.worker.run())
        waiting = asyncio.create_task(pair.worker.trust_state.learn_key(new))
        await asyncio.sleep(0.01)
        assert pair.asked == [{"kind": "want-key", "kid": new}]
        await pair.lead.fetch_keys()
        came = await waiting
        running.cancel()
        return came, asyncio.get_running_loop().time()

    came, after_s = run_virtual(scenario())
    assert came
    assert after_s <= 0.01 + LOOK_EVERY_S


def test_the_worker_tells_of_each_erased_visitor_once(pair: Pair) -> None:
    """So that its own audit trail can be shredded."""
    pair.sync()
    told: list[str] = []
    pair.worker.changes.subscribe(lambda change: told.append(change.subject))
    for subject in (VISITOR, OTHER):
        pair.plane.log("purge", subject, CATEGORIES, 9)
        pair.poll()
    pair.worker.erased.tell()
    pair.worker.erased.tell()
    assert told == sorted((VISITOR, OTHER))


def test_the_worker_says_when_nothing_of_an_erased_visitor_is_left_here(pair: Pair) -> None:
    """The lead waits for that word; before it, there is none."""
    pair.sync()
    erasing = erasing_of("tokyo-1", ErasedParts(Memory(()), None, (), None), pair.worker, pair.worker.store)
    pair.worker.changes.subscribe(lambda change: erasing.purged(change.subject))
    pair.plane.log("purge", OTHER, CATEGORIES, 9)
    pair.poll()
    assert pair.shared_state.acted(1) < pair.shared_state.mark(Mark.ERASED)
    pair.worker.erased.tell()
    assert pair.shared_state.acted(1) == pair.shared_state.mark(Mark.ERASED)


def test_an_event_after_a_withdrawal_elsewhere_is_not_kept(pair: Pair) -> None:
    """The write asks in its own transaction, whichever process said no."""
    pair.sync()
    pair.worker.store.history.record(Interaction(VISITOR, 3, "behavioral", "click", "tent-2"))
    assert pair.lead.store.history.read(VISITOR, "behavioral")
    pair.lead.outgoing.withdraw(NO)
    assert not pair.worker.store.history.read(VISITOR, "behavioral")
    with pytest.raises(Exception, match="taken back"):
        pair.worker.store.history.record(Interaction(VISITOR, 3, "behavioral", "click", "tent-2"))


def test_marks_of_another_process_are_seen(pair: Pair) -> None:
    """The memory is shared with a child that inherits the descriptor, and no process can make it shorter."""
    before = pair.shared_state.count(pair.shared_state.marks())
    script = (
        "import sys; from runtime_host.pop.stores.shared_state import SharedState\n"
        "shared_state = SharedState.join(int(sys.argv[1]), 1, 2); shared_state.announce_denial()\n"
        "try: import os; os.ftruncate(shared_state.fd, 8)\n"
        "except PermissionError: shared_state.announce_denial()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(pair.shared_state.fd)],
        pass_fds=[pair.shared_state.fd],
        check=True,
    )
    assert pair.shared_state.count(pair.shared_state.marks()) == before + 2


@pytest.mark.parametrize(("place", "workers"), [(-1, 2), (2, 2), (0, 65)])
def test_a_place_that_is_not_on_the_shared_state_is_refused(place: int, workers: int) -> None:
    """It would be another process's mark."""
    with pytest.raises(ValueError, match="workers"):
        SharedState(-1, place, workers)
