"""A pack made by a real control plane is read by a stranger: our verifier, the trust file, the visitor's receipt."""

import json

import pytest

from consent_core.evidence.opening import Circumstances
from consent_core.evidence.pack import read_pack
from consent_core.evidence.places import NO_RECORD
from consent_core.evidence.verdict import judge
from consent_core.formats.attestation import LogPosition, PolicyInForce
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.revocation import subject_of
from consent_core.formats.statement import After
from consent_core.trust.spiffe import SpiffeId
from tests.control_plane.attesters.test_intake import TOKYO, Place, search
from tests.control_plane.conftest import Caller, refused_with

HEAD = "7:" + "ab" * 32


class Story:
    """A visitor at one POP that attests and searches."""

    def __init__(self, plane, browser):
        self.plane, self.visitor, self.pop = plane, browser(), Place(plane, TOKYO)
        self.pop.enrol()
        plane.ledger.beat()

    @property
    def subject(self):
        return subject_of(self.visitor.sub)

    def attest(self, position, **more):
        plane = self.plane
        policy = PolicyInForce(plane.policies.in_force().hash, 1, plane.settings.clock.now())
        begin = self.pop.last.until if self.pop.last else plane.settings.clock.now()
        log = LogPosition("A" * 22, position)
        line = self.pop.next(
            since=begin, policy=policy, log=log, seen=plane.ledger.seen(), audit={"tokyo-1": HEAD}, **more
        )
        assert self.pop.send(line).json()["code"] == ""
        self.pass_time(30)

    def pass_time(self, seconds):
        self.plane.settings.clock.advance(seconds)
        self.plane.attesters.statements.flush()
        self.plane.ledger.beat()

    def play(self):
        self.attest(0, kind="start")
        self.visitor.grant("contextual", "behavioral")
        self.pass_time(30)
        self.attest(1)
        self.visitor.withdraw()
        seq = self.plane.log.head()
        self.pass_time(2)
        self.attest(seq)
        after = After(1, self.pop.last.n, sha256_digest(self.pop.text.encode()))
        trails = {"tokyo-1": (HEAD, HEAD)}
        line = search(
            self.pop, subject=self.subject, seq=seq, after=after, trails=trails, seen=self.plane.ledger.seen()
        )
        assert self.pop.send(line).json()["accepted"] == 1
        self.pass_time(31)
        return self

    def pack(self, question="enforcement"):
        operator = Caller(self.plane.mesh_app, SpiffeId.of("ui-tools", "operator", "ann"))
        asked = json.dumps({"subject": self.subject, "question": question})
        return operator("POST", "/v1/evidence", content=asked, headers={"content-type": "application/json"})

    def receipt(self):
        with self.plane.database.read() as connection:
            bodies = [json.loads(proof.body) for proof in self.plane.proofs.of(connection, self.subject)]
        return [body["jws"] for body in bodies if body["kind"] == "receipt"][-1]

    def verdict(self, data):
        trust = self.plane.keys.trust_file().to_bytes()
        return judge(data, trust, Circumstances(self.plane.settings.clock.now(), self.receipt()))


@pytest.fixture
def story(plane, browser):
    return Story(plane, browser).play()


def problems(verdict):
    return {found.code: found.message for result in verdict.results for found in result.findings}


@pytest.mark.parametrize("question", ["consent", "enforcement"])
def test_a_real_pack_answers_its_question(story, question):
    """The visitor's newest receipt, the trust file and the file: exit 0. Without witnesses the first line says so."""
    verdict = story.verdict(story.pack(question).content)

    assert problems(verdict) == {}
    assert (verdict.exit_code, verdict.question) == (0, question)
    assert "No witness: the operator's word alone." in verdict.lines[0]


def test_the_file_outlives_the_record(story):
    """After a purge the visitor still has proof of what was agreed to, and of the no."""
    from control_plane.revocations.revoking import RevocationRequest

    story.plane.revoking.revoke(RevocationRequest("purge", story.subject))
    story.pass_time(30)

    assert story.verdict(story.pack("consent").content).exit_code == 0


def test_what_no_place_stated_is_open(plane, browser):
    """A file that is made too early says what is missing."""
    story = Story(plane, browser)
    story.attest(0, kind="start")
    story.visitor.grant("contextual")
    story.visitor.withdraw()
    story.pass_time(30)
    data = story.pack().content

    assert read_pack(data).pack.open == ("enforced",)
    assert "enforcement-missing" in problems(story.verdict(data))


def test_a_document_in_no_checkpoint_makes_the_file_wait(story):
    """Nothing is shown that no checkpoint holds."""
    story.visitor.grant("contextual")

    refused_with("evidence-early", 503, lambda: _raised(story.pack("consent")))
    story.pass_time(30)
    assert story.pack("consent").status_code == 200


def test_nobody_known_has_no_file(story):
    """Neither a stranger nor one whose proofs were destroyed."""
    with story.plane.database.write() as connection:
        story.plane.proofs.destroy(connection, story.subject)

    assert story.pack().status_code == 404


def test_the_file_shows_no_other_person(story, browser):
    """One pseudonym: what others said lies beside it as 32 bytes each."""
    other = browser()
    other.grant("contextual")
    story.pass_time(30)
    data = story.pack().content

    assert subject_of(other.sub).encode() not in data
    assert other.sub.encode() not in data


def test_a_place_that_left_before_the_person_came_is_not_asked(plane, browser):
    """Lists from the first receipt on: who stopped earlier has nothing to say."""
    earlier = Place(plane, SpiffeId.of("ui-tools", "edge", "paris-1"))
    earlier.enrol()
    earlier.send(earlier.next(kind="stop"))
    plane.settings.clock.advance(10)
    plane.attesters.endorsing.retire("edge/paris-1")
    plane.settings.clock.advance(10)
    story = Story(plane, browser).play()

    assert story.verdict(story.pack().content).exit_code == 0


def test_a_new_trail_begins_without_a_record():
    """What a place had not attested before, it searches from its very beginning."""
    assert NO_RECORD == "0:" + "0" * 64


def _raised(answer):
    from consent_core.errors import Unavailable

    if answer.status_code == 503:
        raise Unavailable(answer.json()["error"]["code"], "")
