"""A log that is not the one this POP enforced, however it looks: noticed at once, and not forgotten."""

import asyncio
from dataclasses import replace

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.log_head import open_head
from consent_core.formats.revocation import START, entry_hash, sign_snapshot
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores.raw import ANSWER, RAW_KEPT_S
from tests.runtime_host.sync.toy_plane import VISITOR, World


def refused(world: World) -> str:
    with pytest.raises(Untrusted) as refusal:
        asyncio.run(world.sync.poll())
    return refusal.value.code


def grow(world: World, number: int, *, subject: str = "f" * 64) -> None:
    """Entries of another history, until the log has `number`."""
    while len(world.plane.entries) < number:
        world.plane.revoke(subject=subject, ver=9)


@pytest.fixture
def known(world: World) -> World:
    """A POP that has read four entries."""
    grow(world, 4, subject=VISITOR)
    asyncio.run(world.sync.poll())
    return world


@pytest.mark.parametrize("kept", range(4))
@pytest.mark.parametrize("beyond", range(6))
def test_a_log_that_went_back_and_grew_again_is_noticed(known: World, kept: int, beyond: int) -> None:
    """A restored backup that took new entries: lower, as long as before, or longer; the number is no excuse."""
    del known.plane.entries[kept:]
    grow(known, kept + beyond)

    assert refused(known) == ("log-rewind" if kept + beyond < 4 else "log-fork")
    assert not known.sync.trust_state.in_sync()
    assert known.store.log.position.position == 4
    assert known.sync.trust_state.denied("f" * 64, 1) == frozenset()


@pytest.mark.parametrize("how", ["rewind", "fork", "origin"])
def test_an_alarm_outlives_its_cause_the_process_and_good_answers(known: World, how: str) -> None:
    """The log is whole again, the POP starts anew: it still believes nothing, until an operator says so."""
    before, origin = list(known.plane.entries), known.plane.origin
    if how == "origin":
        known.plane.origin = "p" * 22
    else:
        del known.plane.entries[3:]
        grow(known, 3 if how == "rewind" else 4)
    code = refused(known)
    known.plane.entries[:], known.plane.origin = before, origin

    for _ in range(3):
        assert refused(known) == code
        assert (known.sync.trust_state.in_sync(), known.sync.status().alarm) == (False, code)
        known.restart()
    known.plane.revoke(subject="d" * 64)
    assert refused(known) == code
    assert known.store.log.position.position == 4


def test_an_alarm_ends_by_an_operator_in_another_process(known: World) -> None:
    """`edge pop accept-log` writes the file; the running POP reads the log from its start. What was denied stays so."""
    known.plane.origin = "p" * 22
    del known.plane.entries[1:]
    refused(known)
    other = type(known.store)(known.home / "pop.db", ManualClock())
    other.log.accept_origin()
    other.close()
    asyncio.run(known.sync.poll())

    assert (known.sync.trust_state.in_sync(), known.sync.status().alarm) == (True, None)
    assert known.sync.trust_state.denied(VISITOR, 3) == set(CATEGORIES)
    assert known.store.log.position.origin == "p" * 22
    assert [kept.kind for kept in known.plane.kept] == ["answer"] * 3 + ["end"]


def test_a_hole_is_an_alarm_that_heals(known: World) -> None:
    """An entry held back closes the POP until the next whole answer: nothing else than what is enforced was said."""
    nonce = "n" * 22
    known.sync._log._nonce = lambda: nonce
    known.plane.revoke(ver=5)
    answer = known.plane.answer(4, nonce)
    known.plane.revoke(ver=6)
    known.network.replay["/v1/revocations"] = known.plane.answer(5, nonce)
    assert refused(known) == "log-gap"
    assert (known.sync.trust_state.in_sync(), known.sync.status().alarm) == (False, "log-gap")

    known.network.replay.clear()
    asyncio.run(known.sync.poll())
    assert (known.sync.trust_state.in_sync(), known.sync.status().alarm) == (True, None)
    assert answer not in known.network.answers


@pytest.mark.parametrize("which", ["place", "through", "head"])
def test_a_snapshot_of_another_history_is_noticed(known: World, which: str) -> None:
    """The pruned part cannot be checked link by link: the log says which entry stood at this POP's place."""
    nonce, plane = "n" * 22, known.plane
    known.sync._log._nonce = lambda: nonce
    grow(known, 6)
    known.store.database.row("UPDATE log SET head=6, head_chain=? RETURNING 1", (entry_hash(plane.entries[5]),))
    after, through, head = plane.place(4), plane.place(5), plane.place(6)
    other = entry_hash(replace(plane.entries[0], ver=77))
    if which == "place":
        after = replace(after, chain=other)
    elif which == "through":
        through, head = replace(head, chain=other), plane.place(6)
    else:
        head = replace(head, chain=other)
    body = sign_snapshot((), after, through, head, plane.origin, nonce, 1, plane.keys.current("log"))
    known.network.plane.serve = lambda _: __import__("httpx").Response(410, content=body)

    assert refused(known) == "log-fork"
    assert known.store.log.position.position == 4


@pytest.mark.parametrize("due", [6, 8])
def test_a_head_once_signed_is_held_against_the_entries_that_come(world: World, due: int) -> None:
    """The first page came with a head of 8; the entries that arrive later are others. Also where a page ends there."""
    grow(world, due, subject=VISITOR)
    world.network.hold = lambda: setattr(world.network, "cut", True)
    with pytest.raises(ConsentEdgeError):
        asyncio.run(world.sync.poll())
    world.network.hold, world.network.cut = (lambda: None), False
    del world.plane.entries[5:]
    grow(world, 9)

    assert refused(world) == "log-fork"
    assert world.store.log.position.position < 8


def test_a_409_that_nobody_signed_raises_no_lasting_alarm(known: World) -> None:
    """A proxy's mistake is not worth an operator's night: not in sync by age alone."""
    httpx = __import__("httpx")
    known.network.plane.serve = lambda _: httpx.Response(409, json={"error": {"code": "log-beyond-head"}})
    refused(known)

    assert known.store.log.position.alarm is None


# What is kept.


def test_every_signed_answer_with_entries_is_kept_byte_for_byte(known: World) -> None:
    """For 15 days, over a restart; answers without entries are not worth it."""
    (page, rest) = (row.body for row in known.store.raw.after(0))
    assert [page, rest] == [body for body in known.network.answers if b'"entries":[{' in body]
    known.clock.advance(30)
    asyncio.run(known.sync.poll())
    known.restart()
    assert [row.kind for row in known.store.raw.after(0)] == [ANSWER, ANSWER]
    assert max(row.at for row in known.store.raw.after(0)) == known.clock.now() - 30

    known.clock.advance(RAW_KEPT_S - 31)
    asyncio.run(known.sync.sweep())
    assert len(known.store.raw.after(0)) == 2
    known.clock.advance(1)
    asyncio.run(known.sync.sweep())
    assert known.store.raw.after(0) == ()


def test_a_poll_shows_the_signed_head(known: World) -> None:
    """Without its entries, and with a signature that is still good."""
    shown = known.store.log.position.shown
    assert shown is not None
    head = open_head(shown, known.plane.keys.trust_file(), frozenset())

    assert (head.origin, head.point) == (known.plane.origin, known.plane.head)
    assert len(shown) < 600
    assert b"subject" not in shown


def test_the_place_moves_with_what_is_enforced(known: World) -> None:
    """Number and hash are written together, in the transaction that puts the entries in force."""
    position = known.store.log.position
    assert (position.position, position.chain) == (4, entry_hash(known.plane.entries[3]))
    assert (position.head, position.head_chain) == (4, position.chain)
    known.store.log.accept_origin()
    assert (known.store.log.position.position, known.store.log.position.chain) == (0, START.chain)
