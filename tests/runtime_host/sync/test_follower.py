"""The revocation log at one POP: what is believed, what is refused, and what a refusal leads to."""

import asyncio
from dataclasses import replace

import pytest

from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.revocation import Point, sign_answer
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Interaction
from tests.runtime_host.sync.toy_plane import VISITOR, World

OTHER = "sha256:" + "ab" * 32


def poll(world: World) -> None:
    asyncio.run(world.sync.poll())


def refused(world: World, family: type[ConsentEdgeError] = Untrusted) -> str:
    with pytest.raises(family) as refusal:
        poll(world)
    return refusal.value.code


def forge(world: World, **changes: object) -> bytes:
    """What the log's own key would sign for the next poll if the log were not what it was."""
    values = {"entries": (), "head": world.plane.head, "origin": world.plane.origin, "at": world.clock.now()}
    values |= changes
    signer = changes.pop("signer", world.plane.keys.current("log"))
    values.pop("signer", None)
    return sign_answer(nonce="n" * 22, signer=signer, **values)


def replay(world: World, data: bytes) -> None:
    world.network.replay["/v1/revocations"] = data


@pytest.fixture
def known(world: World) -> World:
    """A POP that has read four entries and knows beforehand the nonce of its next poll."""
    for ver in range(1, 5):
        world.plane.revoke(ver=ver)
    poll(world)
    world.sync._log._nonce = lambda: "n" * 22
    return world


def test_a_pop_is_not_in_sync_before_its_first_good_answer(world: World) -> None:
    """Whatever is on its disk."""
    assert not world.sync.trust_state.in_sync()
    poll(world)
    assert world.sync.trust_state.in_sync()
    world.restart()
    assert not world.sync.trust_state.in_sync()


def test_entries_of_several_pages_are_applied_in_one_poll(world: World) -> None:
    """Freshness is claimed only at the head."""
    for ver in range(1, 9):
        world.plane.revoke(ver=ver)
    poll(world)

    assert world.store.log.position.position == 8
    assert world.sync.trust_state.denied(VISITOR, 7) == set(CATEGORIES)
    assert world.sync.trust_state.denied(VISITOR, 8) == frozenset()


def test_a_first_page_without_the_second_is_not_in_sync(world: World) -> None:
    """The first page is in force, but who does not know the rest may not personalise."""
    for ver in range(1, 9):
        world.plane.revoke(ver=ver)
    world.network.hold = lambda: setattr(world.network, "cut", True)

    assert refused(world, Unavailable) == "control-plane-unreachable"
    assert world.store.log.position.position == 3
    assert not world.sync.trust_state.in_sync()


def test_an_earlier_answer_does_not_excuse_missing_entries(known: World) -> None:
    """In sync a moment ago; now the log is known to have entries that are not here. Healed, it is in sync again."""
    known.clock.advance(1)
    for ver in range(9, 20):
        known.plane.revoke(ver=ver)
    known.network.hold = lambda: setattr(known.network, "cut", True)

    assert refused(known, Unavailable) == "control-plane-unreachable"
    assert not known.sync.trust_state.in_sync()

    known.network.hold, known.network.cut = lambda: None, False
    poll(known)
    assert known.sync.trust_state.in_sync()


def test_an_entry_that_cannot_be_stored_ends_personalisation_at_once(known: World) -> None:
    """A full disk: the POP knows that something was taken back and cannot put it in force."""
    known.plane.revoke(ver=9)
    known.store.database._connection.execute("PRAGMA query_only=ON")
    assert refused(known, Unavailable) == "store-io"
    assert not known.sync.trust_state.in_sync()

    known.store.database._connection.execute("PRAGMA query_only=OFF")
    poll(known)
    assert known.sync.trust_state.in_sync()
    assert known.sync.trust_state.denied(VISITOR, 8) == set(CATEGORIES)


def test_a_replayed_answer_does_not_refresh(known: World) -> None:
    """An answer to an earlier poll carries that poll's nonce."""
    old = known.network.answers[-1]
    known.sync._log._nonce = lambda: "another-nonce"
    known.clock.advance(59)
    replay(known, old)
    assert refused(known) == "log-nonce"
    known.clock.advance(1)
    assert not known.sync.trust_state.in_sync()


def test_freshness_counts_from_when_the_poll_was_sent(world: World) -> None:
    """An answer that is held back for a minute is a minute old when it arrives."""
    world.network.hold = lambda: world.clock.advance(60)
    poll(world)
    assert not world.sync.trust_state.in_sync()

    world.network.hold = lambda: world.clock.advance(59)
    poll(world)
    assert world.sync.trust_state.in_sync()
    world.clock.advance(1)
    assert not world.sync.trust_state.in_sync()


def test_an_idle_log_keeps_a_pop_in_sync_and_writes_nothing(known: World) -> None:
    """Nothing to say is an answer too, and does not cost a disk write."""
    before = known.store.database.row("SELECT total_changes()")
    for _ in range(100):
        known.clock.advance(30)
        poll(known)
        assert known.sync.trust_state.in_sync()
    assert known.store.database.row("SELECT total_changes()") == before


def test_a_suspended_machine_is_not_in_sync_when_it_wakes(known: World) -> None:
    """CLOCK_BOOTTIME has gone on, even where the wall clock has not been set yet."""
    known.clock.boot += 3600
    assert not known.sync.trust_state.in_sync()


@pytest.mark.parametrize("jump", [-10 * 365 * 86_400, -3600, 3600, 10 * 365 * 86_400])
def test_a_jump_of_the_wall_clock_changes_nothing(known: World, jump: int) -> None:
    """Neither in sync nor out of it, and the next answer is still believed."""
    at = known.clock.wall
    known.clock.wall += jump
    assert known.sync.trust_state.in_sync()
    replay(known, forge(known, at=at + 5))
    poll(known)
    assert known.sync.trust_state.in_sync()


def test_time_never_runs_behind_what_the_control_plane_signed(known: World) -> None:
    """A POP whose wall clock is put back does not make expired tokens live again."""
    at = known.clock.now()
    known.clock.wall -= 3600
    known.clock.boot += 30
    assert known.sync.trust_state.now() == at + 30


def test_a_head_that_went_back_ends_personalisation_at_once(known: World) -> None:
    """A control plane restored from a backup has forgotten revocations: alarm, not patience."""
    del known.plane.entries[2:]

    assert refused(known) == "log-rewind"
    assert not known.sync.trust_state.in_sync()
    assert known.sync.status().alarm == "log-rewind"
    assert known.store.log.position.position == 4
    assert known.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)


def test_a_head_below_the_highest_ever_claimed_is_a_rewind(world: World) -> None:
    """Also if the entries between were never received."""
    for ver in range(1, 9):
        world.plane.revoke(ver=ver)
    world.network.hold = lambda: setattr(world.network, "cut", True)
    refused(world, Unavailable)
    world.network.hold, world.network.cut = (lambda: None), False
    del world.plane.entries[5:]

    assert refused(world) == "log-rewind"


def test_another_origin_ends_personalisation_at_once(known: World) -> None:
    """Another store answers under the same keys: nothing it says continues what was known."""
    known.plane.origin = "p" * 22
    known.plane.revoke()

    assert refused(known) == "log-origin"
    assert not known.sync.trust_state.in_sync()
    known.restart()
    assert refused(known) == "log-origin"


def test_an_operator_may_accept_another_log(known: World) -> None:
    """After a restored control plane; what was denied stays denied."""
    known.plane.origin = "p" * 22
    del known.plane.entries[1:]
    refused(known)
    known.store.log.accept_origin()
    poll(known)

    assert known.sync.trust_state.in_sync()
    assert known.sync.status().alarm is None
    assert known.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)


def test_a_gap_is_refused(known: World) -> None:
    """Entry 6 without entry 5: nothing of it is applied."""
    known.plane.revoke(ver=5)
    entry = known.plane.revoke(ver=6)
    replay(known, forge(known, entries=(entry,)))

    assert refused(known) == "log-gap"
    assert known.store.log.position.position == 4
    assert not known.sync.trust_state.in_sync()


def test_entries_held_back_are_a_gap(known: World) -> None:
    """A head beyond the position, and nothing to get there."""
    replay(known, forge(known, head=Point(5, OTHER)))
    assert refused(known) == "log-gap"


def test_entries_already_known_are_a_gap(known: World) -> None:
    """An answer to another question is no answer."""
    replay(known, forge(known, entries=tuple(known.plane.entries[:2])))
    assert refused(known) == "log-gap"


def test_an_altered_answer_changes_nothing(known: World) -> None:
    """One flipped byte anywhere: refused, still in sync until the minute is over, nothing applied."""
    known.plane.revoke(ver=9)
    good = known.plane.answer(4, "n" * 22)
    for position in range(0, len(good), 7):
        replay(known, good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        refused(known)
    assert known.store.log.position.position == 4
    assert known.sync.trust_state.in_sync()


def test_a_key_of_another_role_does_not_sign_the_log(known: World) -> None:
    """The token key is trusted for tokens."""
    replay(known, forge(known, signer=known.plane.keys.current("token")))
    assert refused(known) == "trust-key-unknown"


def test_a_retired_log_key_is_refused(known: World) -> None:
    """Its overlap is over: what it signs is refused."""
    old = known.plane.keys.current("log")
    known.clock.advance(1)
    known.plane.keys.rotate("log", overlap_s=10)
    known.restart()
    known.sync._log._nonce = lambda: "n" * 22
    replay(known, forge(known, signer=old))
    poll(known)

    known.clock.advance(10)
    replay(known, forge(known, signer=old))
    assert refused(known) == "trust-key-expired"
    del known.network.replay["/v1/revocations"]
    poll(known)


def test_a_clock_set_back_before_a_rotation_still_believes_the_new_key(known: World) -> None:
    """What the log signs says when it was signed; a slow wall clock does not make its key one of the future."""
    known.plane.keys.rotate("log", overlap_s=0)
    known.restart()
    known.sync._log._nonce = lambda: "n" * 22
    replay(known, forge(known))
    known.clock.wall -= 3600
    poll(known)
    assert known.sync.trust_state.in_sync()


def test_a_revoked_log_key_is_refused(known: World) -> None:
    """The log takes its own old key away; from then on only the new one speaks for it."""
    old = known.plane.keys.current("log")
    known.clock.advance(1)
    known.plane.keys.rotate("log", overlap_s=3600)
    known.restart()
    known.sync._log._nonce = lambda: "n" * 22
    known.plane.log("key", old.kid)
    poll(known)

    replay(known, forge(known, signer=old))
    assert refused(known) == "log-key-revoked"


def test_a_snapshot_brings_a_latecomer_to_the_head(world: World) -> None:
    """Pruned session entries are not in it, what must never be forgotten is."""
    world.plane.revoke(ver=3)
    world.plane.log("key", "token-old")
    world.plane.log("purge", VISITOR, CATEGORIES, 9)
    world.plane.revoke(subject="b" * 64, ver=2)
    world.plane.pruned = 3
    poll(world)

    assert world.store.log.position.position == 4
    assert world.sync.trust_state.key_revoked("token-old")
    assert world.store.tombstones.holds(VISITOR)
    assert world.sync.trust_state.denied("b" * 64, 1) == set(CATEGORIES)
    assert world.sync.trust_state.in_sync()


def test_a_snapshot_that_leads_nowhere_is_refused(known: World) -> None:
    """It would be asked for again and again."""
    known.plane.pruned = 2
    known.network.plane.serve = lambda _: __import__("httpx").Response(410, content=known.plane.snapshot(0, "n" * 22))
    assert refused(known) == "log-gap"


def test_an_oversized_answer_is_not_read_to_its_end(known: World) -> None:
    """A megabyte is enough for a thousand entries."""
    replay(known, b" " * 2_000_000)
    assert refused(known, Unavailable) == "control-plane-oversize"


def test_sixty_seconds_of_partition_close_every_category_and_delete_nothing(known: World) -> None:
    """Cut off, a POP stops; healed, it goes on without a gap, and what it had is still there."""
    other = "b" * 64
    known.store.history.record(Interaction(other, 9, "behavioral", "click", "tent"))
    known.store.history.record(Interaction(other, 9, "experimental", "impression", "promo"))
    known.network.cut = True
    for second in range(1, 61):
        known.clock.advance(1)
        refused(known, Unavailable)
        assert known.sync.trust_state.in_sync() == (second < 60)
    known.plane.revoke(subject="c" * 64, ver=5)
    asyncio.run(known.sync.sweep())

    assert len(known.store.history.read(other, "behavioral")) == 1
    assert len(known.store.history.read(other, "experimental")) == 1
    known.network.cut = False
    poll(known)
    assert known.sync.trust_state.in_sync()
    assert known.store.log.position.position == 5
    assert known.sync.trust_state.denied("c" * 64, 4) == set(CATEGORIES)


def test_an_older_backup_catches_up(known: World) -> None:
    """A restored pop.db reads again what it has forgotten."""
    backup = (known.home / "backup.db").resolve()
    known.store.database.rows(f"VACUUM INTO '{backup}'")
    known.plane.log("purge", VISITOR, CATEGORIES, 9)
    poll(known)
    known.store.close()
    for path in known.home.glob("pop.db*"):
        path.unlink()
    backup.rename(known.home / "pop.db")
    known.restart()
    assert not known.store.tombstones.holds(VISITOR)

    poll(known)
    assert known.store.tombstones.holds(VISITOR)
    assert known.store.log.position.position == 5


def test_listeners_hear_of_changes_once_they_are_in_force(known: World) -> None:
    """Open pages are told only what is already true."""
    heard = []
    stop = known.sync.changes.subscribe(
        lambda change: heard.append((change, known.sync.trust_state.denied(change.subject, 1)))
    )
    entry = known.plane.revoke(subject="d" * 64, categories=("behavioral",), ver=2)
    poll(known)
    stop()
    known.plane.revoke(subject="e" * 64)
    poll(known)

    ((change, denied),) = heard
    assert (change.seq, change.subject, denied) == (entry.seq, "d" * 64, {"behavioral"})


def test_two_polls_at_once_apply_each_entry_once(known: World) -> None:
    """The second waits for the first and finds nothing new."""
    known.plane.revoke(ver=9)

    async def both() -> list:
        return await asyncio.gather(known.sync.poll(), known.sync.poll())

    first, second = asyncio.run(both())
    assert (len(first), len(second)) == (1, 0)


def test_the_bound_cannot_be_configured_away(world: World) -> None:
    """A poll interval that cannot keep the minute is refused."""
    with pytest.raises(ValueError, match="less than fresh_s"):
        replace(world.sync.config, poll_s=58.0)
