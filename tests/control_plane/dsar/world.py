"""Two POPs that attest, search and delete as they should, a control plane, and people who ask.

world = World(plane, browser)
world.begin();  visitor = world.visitor()
opened = world.ask(visitor, "deletion");  world.until_closed(opened)
"""

from consent_core.formats.attestation import LogPosition, PolicyInForce
from consent_core.formats.attester import Line
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.revocation import subject_of
from consent_core.formats.statement import After, Deletion, Search, sign_statement
from consent_core.trust.spiffe import SpiffeId
from control_plane.dsar import store
from control_plane.dsar.intake import Wanted
from tests.control_plane.attesters.test_intake import Place
from tests.control_plane.conftest import Browser, poll

POPS = ("frankfurt-1", "tokyo-1")
ENDS = dict.fromkeys(("log_answers", "denials", "tombstone"), "2027-01-30")
BEAT_S = 31


class World:
    """`silent`: POPs that say nothing for now. `stated`: what each said already. `tweak`: what one says instead."""

    def __init__(self, plane):
        self.plane, self.silent, self.stated = plane, set(), set()
        self.tweak = lambda said: said
        self.pops = {name: Place(plane, SpiffeId.of("ui-tools", "edge", name)) for name in POPS}

    def begin(self):
        self.plane.own.look()
        for pop in self.pops.values():
            assert pop.enrol().status_code == 200
        self.plane.ledger.beat()
        self.attest("start")
        self.pass_time()
        return self

    def visitor(self):
        """Somebody who said yes, and was served."""
        browser = Browser(self.plane)
        browser.grant("contextual", "behavioral")
        self.turn()
        return browser

    def ask(self, browser, kind, **wish):
        return self.plane.requests.intake.by_session(Wanted(kind, wish), browser.session, None)

    def pass_time(self, seconds=BEAT_S):
        self.plane.settings.clock.advance(seconds)
        self.plane.own.look()
        self.plane.attesters.statements.flush()
        self.plane.ledger.beat()

    def attest(self, kind="interval"):
        for name in sorted(self.pops.keys() - self.silent):
            self._attest(self.pops[name], name, kind)

    def _attest(self, pop, name, kind):
        plane = self.plane
        policy = PolicyInForce(plane.policies.in_force().hash, 1, plane.settings.clock.now())
        since = pop.last.until if pop.last else plane.settings.clock.now()
        log = LogPosition("A" * 22, plane.log.head())
        line = pop.next(
            since=since, kind=kind, policy=policy, log=log, seen=plane.ledger.seen(), audit={name: f"7:{'ab' * 32}"}
        )
        assert pop.send(line).json()["code"] == ""

    def turn(self):
        """Every POP applies the log, attests, and states what it owes; then a beat."""
        self.attest()
        for name in sorted(self.pops.keys() - self.silent):
            for entry in poll(self.plane).entries:
                self._state(name, entry)
        self.pass_time()

    def _state(self, name, entry):
        if entry.kind not in ("session", "purge") or (name, entry.seq) in self.stated:
            return
        pop = self.pops[name]
        common = {
            "iss": str(pop.peer), "iat": self.plane.settings.clock.now(), "seen": self.plane.ledger.seen(),
            "request": "", "subject": entry.subject, "seq": entry.seq,
            "after": After(1, pop.last.n, sha256_digest(pop.text.encode())),
        }  # fmt: skip
        head = f"7:{'ab' * 32}"
        if entry.kind == "session":
            said = Search(
                **common, applied_at=common["iat"], trails={name: (head, head)}, records=2, of_person=1,
                personalised_before_applied=1, personalised_after=0,
            )  # fmt: skip
        else:
            parts = ("history", "sessions", "outbox", "queue", f"trail.{name}", f"memory.{name}")
            none = dict.fromkeys(parts, 0)
            said = Deletion(
                **common, parts="pop/v1", deleted={**none, "history": 3}, remaining=none, ends=ENDS, at=common["iat"]
            )
        assert pop.send(Line("statement", sign_statement(self.tweak(said), pop.key))).json()["accepted"] == 1
        self.stated.add((name, entry.seq))

    def carry(self):
        return self.plane.requests.machine.look()

    def state(self, request):
        with self.plane.database.read() as connection:
            return store.find(connection, request).state

    def steps(self, request):
        """{(step, party): state}."""
        with self.plane.database.read() as connection:
            return {(row.step, row.party): row.state for row in store.steps_of(connection, request)}

    def until_closed(self, request, turns=12):
        for _ in range(turns):
            self.carry()
            if self.state(request) not in store.ACTIVE:
                return self
            self.turn()
        raise AssertionError(f"still open: {[pair for pair, state in self.steps(request).items() if state != 'done']}")


def subject(browser):
    return subject_of(browser.sub)
