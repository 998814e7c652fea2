"""Token keys at one POP: rotation without a gap, no good key lost, no use in inventing key ids."""

import asyncio

import pytest

from consent_core.errors import ConsentEdgeError
from consent_core.formats.jwks import write_jwks
from consent_core.formats.token import MAX_LIFETIME_S
from runtime_host.pop.sync.keys import MAX_UNKNOWN, UNKNOWN_S
from simulator.virtual.time import run_virtual
from tests.runtime_host.sync.toy_plane import World


def fetch(world: World) -> None:
    asyncio.run(world.sync.fetch_keys())


def kids(world: World) -> list[str]:
    keys = world.sync.trust_state.keys()
    return [key.kid for key in keys]


def test_the_trust_files_keys_do_until_the_first_set(world: World) -> None:
    """A POP that starts cut off can still tell a good token, although it may not act on it."""
    assert kids(world) == [world.plane.keys.current("token").kid]


def test_a_rotated_key_is_known_after_one_fetch(world: World) -> None:
    """Both the old and the new one are good while they overlap; the generation rises once."""
    fetch(world)
    old, before = world.plane.keys.current("token").kid, world.sync.trust_state.generation
    world.clock.advance(1)
    new = world.plane.keys.rotate("token", overlap_s=600).kid
    fetch(world)
    fetch(world)

    assert kids(world) == [old, new]
    assert world.sync.trust_state.generation == before + 1


def test_a_key_no_longer_named_stays_for_one_token_lifetime(world: World) -> None:
    """No token outlives its key, however short the overlap."""
    fetch(world)
    old = world.plane.keys.current("token").kid
    world.clock.advance(1)
    new = world.plane.keys.rotate("token", overlap_s=0).kid
    fetch(world)
    assert kids(world) == [new, old]

    world.clock.advance(MAX_LIFETIME_S)
    assert kids(world) == [new]


@pytest.mark.parametrize("bad", [b"", b"{", b'{"keys":[]}', b'{"keys":[{"kty":"oct"}]}', b"x" * 100_000])
def test_a_bad_set_costs_no_good_key(world: World, bad: bytes) -> None:
    """Refused, and the keys stay, also after a restart."""
    fetch(world)
    good = kids(world)
    world.plane.jwks = bad
    with pytest.raises(ConsentEdgeError):
        fetch(world)
    assert kids(world) == good
    world.restart()
    assert kids(world) == good


def test_keys_survive_a_control_plane_that_is_away(world: World) -> None:
    """The last good set is on disk; the trust file may be older."""
    world.clock.advance(1)
    new = world.plane.keys.rotate("token", overlap_s=600).kid
    fetch(world)
    world.network.cut = True
    world.restart()
    assert new in kids(world)


def test_a_damaged_set_on_disk_is_not_believed(world: World) -> None:
    """The trust file's keys do."""
    fetch(world)
    (world.home / "jwks.json").write_bytes(b'{"keys": [')
    world.restart()
    assert kids(world) == [world.plane.keys.current("token").kid]


def test_a_revoked_key_is_gone_at_once(world: World) -> None:
    """The log decides, not the key set."""
    fetch(world)
    kid = world.plane.keys.current("token").kid
    world.plane.log("key", kid)
    before = world.sync.trust_state.generation
    asyncio.run(world.sync.poll())

    assert world.sync.trust_state.key_revoked(kid)
    assert kids(world) == []
    assert world.sync.trust_state.generation > before
    fetch(world)
    world.restart()
    assert kids(world) == []


def test_unknown_key_ids_cause_one_fetch_per_cooldown(world: World) -> None:
    """Ten thousand invented ids reach the control plane once."""
    assert [world.sync._keys.wanted(f"made-up-{number}") for number in range(10_000)].count(True) == 1
    world.clock.advance(world.sync.config.keys_wanted_s)
    assert world.sync._keys.wanted("made-up-once-more")


def test_the_same_unknown_key_id_is_not_asked_for_again_soon(world: World) -> None:
    """Until a minute is over or the set changes."""
    assert world.sync._keys.wanted("made-up")
    world.clock.advance(UNKNOWN_S - 1)
    assert not world.sync._keys.wanted("made-up")
    world.clock.advance(1)
    assert world.sync._keys.wanted("made-up")

    world.clock.advance(world.sync.config.keys_wanted_s)
    (key,) = world.sync.trust_state.keys()
    world.plane.jwks = write_jwks([key._replace(kid="another")])
    fetch(world)
    assert world.sync._keys.wanted("made-up")


def test_the_memory_of_unknown_key_ids_is_bounded(world: World) -> None:
    """A client that invents ids cannot fill it."""
    for number in range(2 * MAX_UNKNOWN):
        assert world.sync._keys.wanted(f"made-up-{number}")
        world.clock.advance(world.sync.config.keys_wanted_s)
    assert len(world.sync._keys._unknown) == MAX_UNKNOWN


def test_a_visitor_with_a_token_of_a_new_key_waits_for_it(world: World) -> None:
    """So does everybody else with that key, until it is here and no longer; a made-up one is not waited for."""
    world.clock.advance(1)
    new = world.plane.keys.rotate("token", overlap_s=600).kid
    learn = world.sync.trust_state.learn_key

    async def scenario() -> tuple[list[bool], float]:
        waiting = [asyncio.create_task(learn(kid)) for kid in (new, new, "made-up")]
        await asyncio.sleep(0)
        assert (waiting[0].done(), waiting[2].done()) == (False, True)
        await world.sync.fetch_keys()
        return list(await asyncio.gather(*waiting)), asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == ([True, True, False], 0.0)


def test_a_key_that_does_not_come_is_waited_for_half_a_second_of_the_loops_time(world: World) -> None:
    """Once: the same key id asks for no second fetch so soon. Simulated time passes as real time does."""

    async def scenario() -> list[tuple[bool, float]]:
        loop, learn = asyncio.get_running_loop(), world.sync.trust_state.learn_key
        return [(await learn("made-up"), loop.time()) for _ in range(2)]

    assert run_virtual(scenario()) == [(False, 0.5), (False, 0.5)]


def test_a_visitor_who_goes_away_ends_nobody_elses_wait(world: World) -> None:
    """The first to ask may close the connection; the key still reaches the second."""
    world.clock.advance(1)
    new = world.plane.keys.rotate("token", overlap_s=600).kid

    async def scenario() -> bool:
        first, second = (asyncio.create_task(world.sync.trust_state.learn_key(new)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await world.sync.fetch_keys()
        return await second

    assert run_virtual(scenario())
