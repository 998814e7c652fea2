"""A worker's sync room: whatever any process of the POP has put in force holds at the next question."""

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
from runtime_host.pop.sync.led import LOOK_EVERY_S, LedSync
from runtime_host.pop.sync.policy import FILE
from simulator.virtual.time import run_virtual
from tests.runtime_host.sync.toy_plane import VISITOR, Network, ToyPlane, open_toy_bundle, policy_hash

NO = Withdrawal("k" * 22, "0" * 43, VISITOR, 4, ("behavioral",))
OTHER = "b" * 64


@dataclass
class Supervisor:
    """A lead and a worker on one `pop.db`, each with its own connection and its own view of the shared_state."""

    home: Path
    clock: ManualClock
    plane: ToyPlane
    network: Network
    client: httpx.AsyncClient
    shared_state: SharedState
    lead: Sync
    worker: LedSync
    asked: list[Any] = field(default_factory=list)

    def sync(self) -> None:
        async def all_errands() -> None:
            await self.lead.fetch_policy()
            await self.lead.fetch_keys()
            await self.lead.poll()

        asyncio.run(all_errands())

    def poll(self) -> None:
        asyncio.run(self.lead.poll())


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Supervisor]:
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
    worker = LedSync(config, PopStore(home / "pop.db", clock, joined), trust, client, clock, shared_state=joined,
                     ask=asked.append, opener=open_toy_bundle)  # fmt: skip
    yield Supervisor(home, clock, plane, network, client, shared_state, lead, worker, asked)
    for sync in (lead, worker):
        sync.store.close()
    for one in (joined, shared_state):
        one.close()


def test_a_new_shared_state_is_out_of_sync_whatever_is_on_disk(crew: Supervisor) -> None:
    """Zeros are not fresh: an earlier run's policy and keys open nothing."""
    assert not crew.worker.trust_state.in_sync()
    crew.sync()
    assert crew.worker.trust_state.in_sync()

    fresh = SharedState.make(2)
    later = LedSync(crew.worker.config, crew.worker.store, crew.plane.keys.trust_file(), crew.client,
                    crew.clock, shared_state=fresh, ask=print, opener=open_toy_bundle)  # fmt: skip
    assert (later.trust_state.policy is not None, later.trust_state.in_sync()) == (True, False)
    crew.clock.boot = 10.0  # a machine that has just started: zero is not long ago
    assert not later.trust_state.in_sync()
    fresh.close()


def test_the_leads_word_ages_at_the_worker(crew: Supervisor) -> None:
    """Counted from when the poll was sent, to the second; so a worker whose lead says nothing more closes."""
    crew.network.hold = lambda: crew.clock.advance(2)
    crew.sync()
    crew.clock.advance(57.9)
    assert crew.worker.trust_state.in_sync()
    crew.clock.advance(0.1)
    assert not crew.worker.trust_state.in_sync()


def test_a_word_from_the_future_is_not_believed(crew: Supervisor) -> None:
    """Another machine's clock, say: it would stay fresh for too long."""
    crew.sync()
    crew.shared_state.tell(crew.clock.elapsed() + 1, None, None)
    assert not crew.worker.trust_state.in_sync()


def test_an_alarm_at_the_lead_closes_the_worker_at_once(crew: Supervisor) -> None:
    """The log went back: nobody waits for 60 s to pass."""
    crew.plane.revoke()
    crew.sync()
    crew.plane.entries.pop()
    with pytest.raises(Exception, match="the head went back"):
        crew.poll()
    assert not crew.worker.trust_state.in_sync()


def test_a_demanded_policy_that_does_not_come_closes_the_worker(crew: Supervisor) -> None:
    """As at the lead, 60 s after it was first found lacking."""
    crew.sync()
    crew.plane.log("policy", policy_hash(2))
    for _ in range(12):
        crew.poll()
        assert (crew.worker.trust_state.in_sync(), crew.lead.trust_state.in_sync()) == (True, True)
        crew.clock.advance(5)
    crew.poll()
    assert (crew.worker.trust_state.in_sync(), crew.lead.trust_state.in_sync()) == (False, False)

    crew.plane.publish(2)
    crew.sync()
    assert crew.worker.trust_state.in_sync()


def test_a_withdrawal_at_the_worker_is_in_force_everywhere_when_it_returns(crew: Supervisor) -> None:
    """Denied, and the generation has moved, in both directions."""
    crew.sync()
    for here, there, withdrawal in (
        (crew.worker, crew.lead, NO),
        (crew.lead, crew.worker, Withdrawal("l" * 22, "1" * 43, OTHER, 9)),
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
    assert crew.lead.trust_state.denied(VISITOR, 4) == frozenset()  # a later grant stands


def test_the_log_reaches_the_worker(crew: Supervisor) -> None:
    """A visitor's categories, a key, an erased visitor: each raises the generation and holds at the next question."""
    crew.sync()
    kid = crew.plane.keys.current("token").kid
    for change, holds in (
        (lambda: crew.plane.revoke(), lambda: crew.worker.trust_state.denied(VISITOR, 4) == frozenset(CATEGORIES)),
        (
            lambda: crew.plane.log("key", kid),
            lambda: crew.worker.trust_state.key_revoked(kid) and not crew.worker.trust_state.keys(),
        ),
        (
            lambda: crew.plane.log("purge", OTHER, CATEGORIES, 9),
            lambda: len(crew.worker.trust_state.denied(OTHER, 99)) == 3,
        ),
    ):
        before = crew.worker.trust_state.generation
        assert not holds()
        change()
        crew.poll()
        assert crew.worker.trust_state.generation > before
        assert holds()


def test_policy_and_keys_are_taken_over_before_the_next_answer(crew: Supervisor) -> None:
    """No question is answered by the old ones once the lead has the new ones."""
    crew.sync()
    assert crew.worker.trust_state.hash_status(policy_hash(1)) == "current"
    before = crew.worker.trust_state.generation
    crew.plane.publish(2)
    crew.clock.advance(1)
    new = crew.plane.keys.rotate("token", overlap_s=600).kid
    crew.sync()

    assert crew.worker.trust_state.generation > before
    assert [crew.worker.trust_state.hash_status(policy_hash(n)) for n in (1, 2, 3)] == ["older", "current", "unknown"]
    assert crew.worker.trust_state.policy.revision == 2
    known = crew.worker.trust_state.keys()
    assert new in [key.kid for key in known]


@pytest.mark.parametrize("file", [FILE, "jwks.json"])
def test_what_cannot_be_read_closes_the_worker_until_it_can(crew: Supervisor, file: str) -> None:
    """And everything is looked at again then: the generation moves."""
    crew.clock.advance(1)
    crew.plane.keys.rotate("token", overlap_s=600)
    crew.sync()
    kept = (crew.home / file).read_bytes()
    (crew.home / file).write_bytes(b'{"signed": false}')
    crew.shared_state.announce(Mark.POLICY if file == FILE else Mark.KEYS)
    assert not crew.worker.trust_state.in_sync()
    before = crew.worker.trust_state.generation

    (crew.home / file).write_bytes(kept)
    crew.clock.advance(1)
    assert crew.worker.trust_state.in_sync()
    assert crew.worker.trust_state.generation > before
    assert crew.worker.trust_state.hash_status(policy_hash(1)) == "current"


def test_a_table_that_cannot_be_read_denies(crew: Supervisor) -> None:
    """By an error: nobody is told that nothing was taken back."""
    crew.sync()
    crew.worker.store.close()
    with pytest.raises(Unavailable):
        crew.worker.trust_state.denied(VISITOR, 1)
    crew.shared_state.announce(Mark.KEYS)
    for _ in range(2):  # not only the first time
        with pytest.raises(Unavailable):
            crew.worker.trust_state.key_revoked("k")


def test_the_signed_time_holds_at_the_worker(crew: Supervisor) -> None:
    """A wall clock put back makes no expired token live again."""
    crew.sync()
    signed = crew.clock.now()
    crew.clock.wall -= 500
    crew.clock.boot += 7
    assert crew.worker.trust_state.now() == signed + 7


def test_the_worker_asks_its_lead_and_not_too_often(crew: Supervisor) -> None:
    """Ten thousand invented keys and hashes are one message each."""
    for number in range(10_000):
        crew.worker.fetches.request_key(f"made-up-{number}")
        crew.worker.trust_state.request_sync()
    assert crew.asked == [{"kind": "want-key", "kid": "made-up-0"}, {"kind": "want-policy"}]
    crew.clock.advance(1)
    crew.worker.trust_state.request_sync()
    assert len(crew.asked) == 3


def test_a_visitor_of_a_worker_waits_until_the_lead_has_the_key(crew: Supervisor) -> None:
    """The lead's mark ends the wait at the worker's next look, long before half a second is over."""
    crew.sync()
    crew.clock.advance(1)
    new = crew.plane.keys.rotate("token", overlap_s=600).kid

    async def scenario() -> tuple[bool, float]:
        running = asyncio.create_task(crew.worker.run())
        waiting = asyncio.create_task(crew.worker.trust_state.learn_key(new))
        await asyncio.sleep(0.01)
        assert crew.asked == [{"kind": "want-key", "kid": new}]
        await crew.lead.fetch_keys()
        came = await waiting
        running.cancel()
        return came, asyncio.get_running_loop().time()

    came, after_s = run_virtual(scenario())
    assert came
    assert after_s <= 0.01 + LOOK_EVERY_S


def test_the_worker_tells_of_each_erased_visitor_once(crew: Supervisor) -> None:
    """So that its own audit trail can be shredded."""
    crew.sync()
    told: list[str] = []
    crew.worker.changes.subscribe(lambda change: told.append(change.subject))
    for subject in (VISITOR, OTHER):
        crew.plane.log("purge", subject, CATEGORIES, 9)
        crew.poll()
    crew.worker.erased.tell()
    crew.worker.erased.tell()
    assert told == sorted((VISITOR, OTHER))


def test_the_worker_says_when_nothing_of_an_erased_visitor_is_left_here(crew: Supervisor) -> None:
    """The lead waits for that word; before it, there is none."""
    crew.sync()
    erasing = erasing_of("tokyo-1", ErasedParts(Memory(()), None, (), None), crew.worker, crew.worker.store)
    crew.worker.changes.subscribe(lambda change: erasing.purged(change.subject))
    crew.plane.log("purge", OTHER, CATEGORIES, 9)
    crew.poll()
    assert crew.shared_state.acted(1) < crew.shared_state.mark(Mark.ERASED)
    crew.worker.erased.tell()
    assert crew.shared_state.acted(1) == crew.shared_state.mark(Mark.ERASED)


def test_an_event_after_a_withdrawal_elsewhere_is_not_kept(crew: Supervisor) -> None:
    """The write asks in its own transaction, whichever process said no."""
    crew.sync()
    crew.worker.store.history.record(Interaction(VISITOR, 3, "behavioral", "click", "tent-2"))
    assert crew.lead.store.history.read(VISITOR, "behavioral")
    crew.lead.outgoing.withdraw(NO)
    assert not crew.worker.store.history.read(VISITOR, "behavioral")
    with pytest.raises(Exception, match="taken back"):
        crew.worker.store.history.record(Interaction(VISITOR, 3, "behavioral", "click", "tent-2"))


def test_marks_of_another_process_are_seen(crew: Supervisor) -> None:
    """The memory is shared with a child that inherits the descriptor, and nobody can make it shorter."""
    before = crew.shared_state.count(crew.shared_state.marks())
    script = (
        "import sys; from runtime_host.pop.stores.shared_state import SharedState\n"
        "shared_state = SharedState.join(int(sys.argv[1]), 1, 2); shared_state.announce_denial()\n"
        "try: import os; os.ftruncate(shared_state.fd, 8)\n"
        "except PermissionError: shared_state.announce_denial()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(crew.shared_state.fd)],
        pass_fds=[crew.shared_state.fd],
        check=True,
    )
    assert crew.shared_state.count(crew.shared_state.marks()) == before + 2


@pytest.mark.parametrize(("place", "workers"), [(-1, 2), (2, 2), (0, 65)])
def test_a_place_that_is_not_on_the_shared_state_is_refused(place: int, workers: int) -> None:
    """It would be another process's mark."""
    with pytest.raises(ValueError, match="workers"):
        SharedState(-1, place, workers)
