"""A POP searches its own sealed trails after a no: from head to head, only what the no took back, every trail."""

import pytest

from consent_core.audit.reader import read_span
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.evidence.places import NO_RECORD
from consent_core.formats.attester import Known
from consent_core.formats.revocation import Entry, Point, subject_of
from consent_core.formats.statement import open_statement
from consent_core.trust.providers.selection import open_provider
from runtime_host.pop.evidence.attesting import Attester, State
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.evidence.searching import Searcher
from runtime_host.pop.stores import PopStore
from tests.runtime_host.evidence.test_attesting import POLICY

ID = "spiffe://ui-tools/edge/tokyo-1"
SUB, OTHER = "A" * 22, "B" * 21 + "A"
TRAILS = ("tokyo-1", "tokyo-1.w2")
HASH = "sha256:" + "0" * 64


class World:
    """A POP with two trails of its own, and what it says of them."""

    def __init__(self, directory):
        self.clock = ManualClock()
        self.provider = open_provider("keyring", directory, None)
        self.trails = directory / "audit"
        limits = AuditLimits(seal_every_s=None)
        self.audit = {
            name: AuditWriter.open(self.trails / name, f"edge/{name}", self.provider, self.clock, limits)
            for name in TRAILS
        }
        self.store = PopStore(directory / "pop.db", self.clock)
        self.attester = Attester(ID, AttesterKey.open(directory), self.store, self.clock, self.state, 60)
        self.attester.agree(Known())
        self.searcher = Searcher(self.attester, self.store, self.clock, self.trails, self.provider)

    def state(self):
        return State(POLICY, True, {}, {}, {name: trail.head().text for name, trail in self.audit.items()})

    def show(self, category, sub=SUB, ver=1, trail="tokyo-1"):
        fields = {"route": "slot", "category": category}
        self.audit[trail].append(fields, subject=subject_of(sub), person={"sub": sub, "ver": ver})

    def attest(self, seconds=60):
        self.clock.advance(seconds)
        self.attester.attest("interval")

    def no(self, seq=1, categories=("behavioral",), ver=2):
        now = self.clock.now()
        entry = Entry(seq, HASH, "A" * 22, "session", subject_of(SUB), categories, ver, 0, now, "stop")
        place = Point(seq, HASH)
        self.store.apply([entry], "A" * 22, place, place, now)

    def statements(self):
        lines = [line for _, line in self.store.attested.pending(256) if line.kind == "statement"]
        return [open_statement(line.text, lambda *_: None) for line in lines]

    def close(self):
        for trail in self.audit.values():
            trail.close()
        self.store.close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.show("behavioral")
    world.attest()
    yield world
    world.close()


def test_what_was_shown_before_the_no_is_counted_apart(world):
    """Before it was applied, and after: two numbers."""
    world.show("behavioral")
    world.clock.advance(5)
    world.no()
    world.clock.advance(5)
    world.show("default")
    world.attest()
    assert world.searcher.state() == 1
    (search,) = world.statements()

    assert (search.personalised_before_applied, search.personalised_after, search.of_person) == (1, 0, 2)
    assert (search.seq, search.subject, search.records) == (1, subject_of(SUB), 2)


def test_something_personal_after_the_no_is_said(world):
    """The POP finds its own breach, in any worker's trail."""
    world.no()
    world.clock.advance(5)
    world.show("behavioral", trail="tokyo-1.w2")
    world.attest()
    world.searcher.state()

    assert world.statements()[0].personalised_after == 1


@pytest.mark.parametrize(
    ("category", "ver", "sub"), [("contextual", 1, SUB), ("behavioral", 2, SUB), ("behavioral", 1, OTHER)]
)
def test_what_the_no_did_not_take_back_does_not_count(world, category, ver, sub):
    """Another category, a version of a later yes, another person."""
    world.no()
    world.clock.advance(5)
    world.show(category, sub, ver)
    world.attest()
    world.searcher.state()

    assert world.statements()[0].personalised_after == 0


def test_the_search_runs_from_attested_head_to_attested_head(world):
    """From before the no to the attestation that says it is in force, over every trail."""
    before = world.store.attested.newest()
    world.no()
    world.show("default", trail="tokyo-1.w2")
    world.attest()
    world.searcher.state()
    newest, (search,) = world.store.attested.newest(), world.statements()

    assert search.trails == {name: (before.heads[name], newest.heads[name]) for name in TRAILS}
    assert (search.after.n, search.after.hash) == (newest.n, newest.hash)


def test_no_search_before_the_no_is_attested(world):
    """A statement comes after an attestation that says that the no is in force."""
    world.no()

    assert world.searcher.state() == 0
    world.attest()
    assert (world.searcher.state(), world.searcher.state()) == (1, 0)


def test_several_noes_are_one_pass(world):
    """Each has its own statement."""
    world.no(1)
    world.no(2, ("contextual",), 3)
    world.attest()

    assert world.searcher.state() == 2
    assert [search.seq for search in world.statements()] == [1, 2]


def test_a_trail_without_the_attested_head_is_refused(world):
    """Who rewrote a trail cannot state that it was searched."""
    world.no()
    world.show("behavioral")
    world.attest()
    head = world.store.attested.newest().heads["tokyo-1"]
    forged = head.partition(":")[0] + ":" + "ab" * 32

    with pytest.raises(Untrusted) as caught:
        list(read_span(world.trails / "tokyo-1", world.provider, NO_RECORD, forged))
    assert caught.value.code == "head-mismatch"
    assert len(list(read_span(world.trails / "tokyo-1", world.provider, NO_RECORD, head))) == 2


def test_only_files_that_reach_into_the_span_are_read(world):
    """A trail of many days is not opened whole."""
    for _ in range(3):
        world.clock.advance(86_400)
        world.show("default")
    start = world.audit["tokyo-1"].head().text
    world.clock.advance(86_400)
    world.show("behavioral")
    end = world.audit["tokyo-1"].head().text
    sorted((world.trails / "tokyo-1").glob("*.log"))[0].write_bytes(b"not looked at")
    found = list(read_span(world.trails / "tokyo-1", world.provider, start, end))

    assert [record.fields["category"] for record in found] == ["behavioral"]


def test_a_later_yes_is_another_version(world):
    """Showing something under a version above the bound is no breach."""
    world.no(ver=2)
    world.clock.advance(5)
    world.show("behavioral", ver=3)
    world.attest()
    world.searcher.state()

    assert world.statements()[0].personalised_after == 0
