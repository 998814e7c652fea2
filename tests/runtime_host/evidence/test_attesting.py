"""A POP's chain: gapless in number and time, one transaction an attestation, another life after a lost store."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.attestation import FIRST, PolicyInForce, open_attestation
from consent_core.formats.attester import Known
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.revocation import Entry, Point
from consent_core.trust.signatures import verify_signature
from runtime_host.pop.evidence.attesting import Attester, State
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.stores import PopStore

ID = "spiffe://ui-tools/edge/tokyo-1"
KEY = AttesterKey(Ed25519PrivateKey.from_private_bytes(b"7" * 32))
POLICY = PolicyInForce("sha256:" + "02" * 32, 1, 1_800_000_000)
EVERY_S = 60


class World:
    """A POP's store, its attester and what is in force."""

    def __init__(self, path, clock):
        self.clock, self.path = clock, path
        self.state = State(POLICY, True, {"personalization": "sha256:" + "01" * 32}, {}, {"tokyo-1": "0:" + "0" * 64})
        self.open()

    def open(self):
        self.store = PopStore(self.path, self.clock)
        self.attester = Attester(ID, KEY, self.store, self.clock, lambda: self.state, EVERY_S)

    def sent(self):
        return [opened(line.text) for _, line in self.store.attested.pending(256)]

    def texts(self):
        return [line.text for _, line in self.store.attested.pending(256)]

    def apply(self, *entries):
        place = Point(entries[-1].seq, "sha256:" + "0" * 64)
        self.store.apply(entries, "A" * 22, place, place, self.clock.now())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "pop.db", ManualClock())


def verify(kid, message, signature):
    assert kid == KEY.kid
    try:
        verify_signature("ed25519", KEY.public_key, message, signature)
    except Rejected as error:
        raise Untrusted("trust-signature", "bad") from error


def opened(text):
    return open_attestation(text, verify)


def entry(seq, kind="session", at=1_800_000_000):
    return Entry(seq, "sha256:" + "0" * 64, "A" * 22, kind, "e9" * 32, ("behavioral",), 2, 0, at, "stop")


def test_nothing_is_attested_before_the_control_plane_was_asked(world):
    """A restored store must not speak before it is known to be one."""
    assert world.attester.look() is None
    world.attester.agree(Known())
    assert world.attester.look() == "start"


def test_a_chain_has_no_gap_in_number_or_time(world):
    """Each names the digest of the one before, and begins where it ended."""
    world.attester.agree(Known())
    for kind in ("start", "interval", "interval"):
        world.attester.attest(kind)
        world.clock.advance(EVERY_S)
    first, second, third = world.sent()

    assert [one.n for one in (first, second, third)] == [1, 2, 3]
    assert (first.life, first.prev, second.prev) == (1, FIRST, sha256_digest(world.texts()[0].encode()))
    assert (second.since, third.since) == (first.until, second.until)


def test_an_interval_is_due_after_its_time(world):
    """And a change of what is in force is attested at once."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.clock.advance(EVERY_S - 1)
    assert world.attester.look() is None
    world.state = replace(world.state, policy=replace(POLICY, hash="sha256:" + "03" * 32))
    assert world.attester.look() == "activation"
    world.attester.attest("activation")
    world.clock.advance(EVERY_S)
    assert world.attester.look() == "interval"


def test_when_entries_came_into_force_is_told_once(world):
    """Each page's number and time, in the next attestation and in no later one."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.apply(entry(1))
    world.clock.advance(5)
    world.apply(entry(2))
    world.attester.attest("interval")
    world.attester.attest("interval")
    *_, told, after = world.sent()

    assert [through for through, _ in told.log.applied] == [1, 2]
    assert told.log.applied[1][1] - told.log.applied[0][1] == 5
    assert after.log.applied == ()


def test_a_page_that_is_applied_meanwhile_is_the_next_one_s_to_tell(world):
    """The writer thread commits a page before this thread sees the new position: nothing beyond it is told, or lost."""
    world.attester.agree(Known())
    world.apply(entry(1))
    with world.store.database.transaction():
        world.store.attested.apply([entry(7)], 7)

    world.attester.attest("start")
    world.apply(entry(7))
    world.attester.attest("interval")

    first, second = world.sent()
    assert (first.log.position, [through for through, _ in first.log.applied]) == (1, [1])
    assert (second.log.position, [through for through, _ in second.log.applied]) == (7, [7])


def test_spans_of_being_in_sync_are_those_looked_at(world):
    """A gap in sync is a gap in the spans."""
    world.attester.agree(Known())
    world.attester.attest("start")
    for second in range(10):
        world.state = replace(world.state, in_sync=second not in (4, 5, 6))
        world.attester.look()
        world.clock.advance(1)
    spans = world.attester.attest("interval").log.in_sync

    assert [end - begin for begin, end in spans] == [3, 2]


def test_a_process_that_dies_goes_on_with_the_next_number(world):
    """The chain's end lies on the disk with what is to be sent."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.store.close()
    world.open()
    world.attester.agree(Known())
    world.attester.attest("start")

    assert [one.n for one in world.sent()] == [1, 2]


def test_a_restored_store_begins_another_life(world):
    """The control plane knows a later number: this store is an older one."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.attester.agree(Known(1, 9, "sha256:" + "09" * 32))
    world.attester.attest("start")
    (attestation,) = world.sent()

    assert (attestation.life, attestation.n, attestation.prev) == (2, 1, "sha256:" + "09" * 32)


def test_a_store_that_told_another_story_begins_another_life(world):
    """The same number with other words: what waits here is never sent."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.attester.agree(Known(1, 1, "sha256:" + "09" * 32))

    assert world.sent() == []
    assert world.attester.attest("start").life == 2


def test_a_store_that_is_ahead_goes_on(world):
    """What was not answered yet is no reason for another life."""
    world.attester.agree(Known())
    for _ in range(3):
        world.attester.attest("interval")
    world.attester.agree(Known(1, 1, opened_hash(world, 0)))

    assert world.attester.attest("interval").n == 4


def opened_hash(world, number):
    return sha256_digest(world.texts()[number].encode())


def test_the_clock_going_back_leaves_no_time_out(world):
    """Time without a gap, even where a machine's clock is set back."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.clock.wall -= 1000
    attestation = world.attester.attest("interval")

    assert attestation.since == attestation.until == world.sent()[0].until


def test_a_no_from_before_the_first_attestation_owes_no_search(world):
    """A new POP that reads the whole log has no trails to search."""
    world.apply(entry(1))
    world.attester.agree(Known())
    world.attester.attest("start")
    world.apply(entry(2, at=world.clock.now()), entry(3, at=world.clock.now() - 10))

    assert [no.seq for no in world.store.attested.owed(9)] == [2]


def test_a_purge_ends_what_is_owed_of_that_person(world):
    """Shredded trails show nothing: no statement may say that they were searched."""
    world.attester.agree(Known())
    world.attester.attest("start")
    world.apply(entry(2, at=world.clock.now()), replace(entry(3, "purge"), effect="erase"))

    assert world.store.attested.owed(9) == ()


def test_what_is_answered_leaves_the_disk(world):
    """Statements name people."""
    world.attester.agree(Known())
    world.attester.attest("start")
    rows = world.store.attested.pending(256)
    world.store.attested.sent([number for number, _ in rows])

    assert world.sent() == []


def test_the_key_is_made_once_and_private(tmp_path):
    """Only this user reads it; a restart speaks with the same key."""
    key = AttesterKey.open(tmp_path)

    assert AttesterKey.open(tmp_path).kid == key.kid
    assert (tmp_path / "attester.key").stat().st_mode & 0o077 == 0
