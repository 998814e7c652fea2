"""The policy bundle at one POP: what comes into force, what never does, and what happens meanwhile."""

import asyncio

import pytest

from consent_core.errors import Unavailable, Untrusted
from runtime_host.pop.sync.policy import FILE
from tests.runtime_host.sync.toy_plane import World, bundle, policy_hash

BUNDLE = "/v1/policy/bundle"


def fetch(world: World) -> bool:
    return asyncio.run(world.sync.fetch_policy())


def poll(world: World) -> None:
    asyncio.run(world.sync.poll())


def in_force(world: World) -> int | None:
    return None if world.sync.trust_state.policy is None else world.sync.trust_state.policy.revision


@pytest.fixture
def second(world: World) -> World:
    """A POP under revision 2 that has had revision 1."""
    world.plane.publish(1)
    fetch(world)
    world.plane.publish(2)
    fetch(world)
    poll(world)
    return world


def test_a_new_bundle_comes_into_force_and_the_old_hash_stays_known(second: World) -> None:
    """Current, older and unknown are told apart; the generation rises."""
    assert in_force(second) == 2
    assert [second.sync.trust_state.hash_status(policy_hash(n)) for n in (1, 2, 3)] == ["older", "current", "unknown"]
    before = second.sync.trust_state.generation
    second.plane.publish(3)
    assert fetch(second)
    assert second.sync.trust_state.generation > before
    assert [second.sync.trust_state.hash_status(policy_hash(n)) for n in (1, 2, 3)] == ["older", "older", "current"]


def test_an_unchanged_bundle_is_not_sent_again(second: World) -> None:
    """The ETag saves the body, and nothing changes."""
    before = second.sync.trust_state.generation
    assert not fetch(second)
    assert second.network.answers[-1] == b""
    assert second.sync.trust_state.generation == before


def test_a_newcomer_knows_older_hashes_from_the_bundle(world: World) -> None:
    """A token under the previous policy is stale, not unknown, at a POP that never had it."""
    for revision in (1, 2, 3):
        world.plane.publish(revision)
    fetch(world)
    assert world.sync.trust_state.hash_status(policy_hash(1)) == "older"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (bundle(3, signed=False), "bundle-signature"),
        (bundle(1), "bundle-revision"),
        (bundle(2, hash_="sha256:" + "f" * 64), "bundle-revision"),
    ],
    ids=["unsigned", "rolled back", "another of the same revision"],
)
def test_a_bad_bundle_never_comes_into_force(second: World, bad: bytes, code: str) -> None:
    """The last good one stays, on disk too, also after a restart."""
    kept = (second.home / FILE).read_bytes()
    second.plane.bundle = bad
    with pytest.raises(Untrusted) as refusal:
        fetch(second)
    assert refusal.value.code == code

    assert in_force(second) == 2
    assert (second.home / FILE).read_bytes() == kept
    second.restart()
    assert in_force(second) == 2


def test_the_bundle_on_disk_is_judged_again_at_the_start(second: World) -> None:
    """Damaged while the POP was down: counted, not in force, fetched anew."""
    (second.home / FILE).write_bytes(bundle(2, signed=False))
    second.restart()

    assert in_force(second) is None
    assert second.sync.failures.untrusted == {"bundle-signature": 1}
    assert second.sync.trust_state.hash_status(policy_hash(2)) == "unknown"
    fetch(second)
    assert in_force(second) == 2


def test_an_older_bundle_put_back_on_disk_is_refused(second: World) -> None:
    """What was ever in force is noted in pop.db, so that a file alone cannot turn time back."""
    (second.home / FILE).write_bytes(bundle(1))
    second.restart()
    assert in_force(second) is None
    assert second.sync.failures.untrusted == {"bundle-revision": 1}


def test_the_last_good_bundle_survives_a_control_plane_that_is_away(second: World) -> None:
    """In force again at the start, although nothing can be fetched; in sync it is not."""
    second.network.cut = True
    second.restart()
    assert in_force(second) == 2
    assert not second.sync.trust_state.in_sync()
    with pytest.raises(Unavailable):
        fetch(second)


def test_a_demanded_policy_that_never_comes_ends_personalisation(second: World) -> None:
    """An attacker who can spoil only the bundle cannot keep an old policy alive beyond the bound."""
    second.plane.publish(3)
    second.network.replay[BUNDLE] = bundle(3, signed=False)
    for second_ in range(61):
        poll(second)
        assert second.sync.trust_state.in_sync() == (second_ < 60)
        with pytest.raises(Untrusted):
            fetch(second)
        second.clock.advance(1)
    assert in_force(second) == 2

    del second.network.replay[BUNDLE]
    fetch(second)
    assert second.sync.trust_state.in_sync()


def test_ten_thousand_tokens_of_an_unknown_policy_cause_one_fetch(second: World) -> None:
    """One in flight, and the next not within a second."""

    async def run() -> int:
        task = asyncio.create_task(second.sync._policy_task.run())
        await _settled(second)
        before = second.plane.requests.count(BUNDLE)
        second.plane.publish(3)
        for number in range(10_000):
            second.sync.trust_state.request_sync()
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await _settled(second)
        task.cancel()
        return second.plane.requests.count(BUNDLE) - before

    assert asyncio.run(run()) == 1
    assert in_force(second) == 3


def test_a_hash_that_stays_unknown_is_asked_for_once_a_second(second: World) -> None:
    """An unknown hash costs the control plane one conditional request per second at most."""

    async def run() -> int:
        task = asyncio.create_task(second.sync._policy_task.run())
        await _settled(second)
        before = second.plane.requests.count(BUNDLE)
        for _ in range(50):
            second.sync.trust_state.request_sync()
            await _settled(second)
            second.clock.advance(0.1)
        task.cancel()
        return second.plane.requests.count(BUNDLE) - before

    assert asyncio.run(run()) in (5, 6)


async def _settled(world: World) -> None:
    """Let everything that is ready run; nothing here waits for real time."""
    for _ in range(50):
        await asyncio.sleep(0)
