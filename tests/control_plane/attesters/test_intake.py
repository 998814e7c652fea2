"""Who attests, as the control plane takes it: its own words alone, each place's chain, every fork kept."""

import json
from dataclasses import replace
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from consent_core.evidence.bodies import read_attesters
from consent_core.formats.attestation import FIRST, Attestation, LogPosition, sign_attestation
from consent_core.formats.attester import (
    AttesterRequest,
    Known,
    Line,
    proof_message,
    read_answer,
    read_intake,
    write_lines,
    write_request,
)
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.endorsement import open_endorsement
from consent_core.formats.leaf import public_commitment, read_leaf
from consent_core.formats.seen import NONE
from consent_core.formats.statement import After, Search, sign_statement
from consent_core.trust.spiffe import SpiffeId
from control_plane.store.schema import facts, forks, ledger_outbox
from runtime_host.pop.evidence.key import AttesterKey
from tests.control_plane.conftest import Caller

TOKYO, PARIS = SpiffeId.of("ui-tools", "edge", "tokyo-1"), SpiffeId.of("ui-tools", "edge", "paris-1")
SUBJECT = "e9" * 32
JSON = {"content-type": "application/json"}


class Place:
    """A workload with a key of its own."""

    def __init__(self, plane, peer):
        self.key = AttesterKey(Ed25519PrivateKey.generate())
        self.plane, self.peer, self.call = plane, peer, Caller(plane.mesh_app, peer)
        self.last, self.text = None, ""

    def enrol(self, **changes):
        request = AttesterRequest(self.key.public_key, self.key.sign(proof_message(str(self.peer))))
        return self.call("POST", "/v1/attesters", content=write_request(replace(request, **changes)), headers=JSON)

    def next(self, **changes):
        now, last = self.plane.settings.clock.now(), self.last
        attestation = Attestation(
            iss=str(self.peer), iat=now, kind="interval", life=1, n=1, prev=FIRST, since=now, until=now, components={},
            releases={}, policy=None, log=LogPosition("", 0), seen=NONE, audit={},
        )  # fmt: skip
        if last is not None:
            attestation = replace(attestation, n=last.n + 1, life=last.life, prev=sha256_digest(self.text.encode()))
        self.last = replace(attestation, **changes)
        self.text = sign_attestation(self.last, self.key)
        return Line("attestation", self.text)

    def send(self, *lines):
        return self.call("POST", "/v1/attestations", content=write_lines(lines), headers=JSON)


@pytest.fixture
def tokyo(plane):
    place = Place(plane, TOKYO)
    assert place.enrol().status_code == 200
    return place


def rows(plane, table):
    with plane.database.read() as connection:
        return connection.execute(select(table).order_by(table.c.id)).all()


def code(answer):
    return answer.json()["error"]["code"]


def test_a_key_is_endorsed_for_who_shows_it(plane, tokyo):
    """By role `attestation`, for the caller's own name; asked again, the same endorsement."""
    answer = read_answer(tokyo.enrol().content)
    endorsement = open_endorsement(
        canonical_json(answer.endorsement), plane.keys.trust_file(), plane.settings.clock.now(), frozenset()
    )

    assert (endorsement.spiffe_id, endorsement.key) == (str(TOKYO), tokyo.key.public_key)
    assert answer.known == Known()
    assert [row.kind for row in rows(plane, facts)] == ["endorsement", "attesters"]


def test_a_key_without_its_proof_is_not_endorsed(plane, tokyo):
    """Nobody has a key endorsed that they do not hold, or under another name."""
    other = Place(plane, PARIS)
    other.key = tokyo.key
    assert code(other.enrol(proof=bytes(64))) == "attester-proof"
    assert code(other.enrol(proof=tokyo.key.sign(proof_message(str(TOKYO))))) == "attester-proof"
    assert other.enrol().status_code == 409


def test_each_new_place_makes_a_numbered_public_list(plane, tokyo):
    """Complete, in order, its commitment its own digest."""
    Place(plane, PARIS).enrol()
    lists = [read_attesters(json.loads(row.body)) for row in rows(plane, facts) if row.kind == "attesters"]
    leaves = [read_leaf(row.leaf) for row in rows(plane, ledger_outbox)]
    commitments = {leaf.n: leaf.commitment for leaf in leaves if leaf.kind == "attesters"}

    assert [(one.n, one.places) for one in lists] == [(1, ("edge/tokyo-1",)), (2, ("edge/paris-1", "edge/tokyo-1"))]
    bodies = {row.n: row.body for row in rows(plane, facts) if row.kind == "attesters"}
    assert commitments == {n: public_commitment(body) for n, body in bodies.items()}


def test_attestations_are_taken_in_order(plane, tokyo):
    """Each with a leaf that names place, life and number; what is known is answered."""
    answer = read_intake(tokyo.send(tokyo.next(), tokyo.next()).content)
    leaves = [read_leaf(row.leaf) for row in rows(plane, ledger_outbox)]

    assert (answer.accepted, answer.known.n, answer.code) == (2, 2, "")
    assert [(leaf.by, leaf.n) for leaf in leaves if leaf.kind == "attestation"] == [
        ("edge/tokyo-1", 1),
        ("edge/tokyo-1", 2),
    ]


def test_the_same_bytes_again_count_once(plane, tokyo):
    """What was answered and not noted is sent again."""
    line = tokyo.next()
    tokyo.send(line)
    tokyo.send(line)

    assert sum(row.kind == "attestation" for row in rows(plane, facts)) == 1


def test_a_number_with_other_bytes_is_a_fork(plane, tokyo):
    """Both are kept, and nothing more is taken from that key."""
    tokyo.send(tokyo.next())
    first = tokyo.last
    tokyo.last = None
    second = tokyo.next(until=first.until + 1)
    forked = tokyo.send(second)

    assert (forked.status_code, code(forked)) == (409, "attestation-forked")
    assert [row.name for row in rows(plane, forks)] == ["edge/tokyo-1/1/1"]
    tokyo.last, tokyo.text = first, ""
    assert code(tokyo.send(tokyo.next())) == "attestation-forked"


def test_one_that_names_another_before_it_is_a_fork(plane, tokyo):
    """The chain is one."""
    tokyo.send(tokyo.next())

    assert code(tokyo.send(tokyo.next(prev=FIRST))) == "attestation-forked"


def test_a_gap_stays_visible(plane, tokyo):
    """A number further on is kept; what is missing shows in the numbers."""
    tokyo.send(tokyo.next())
    answer = tokyo.send(tokyo.next(n=4))
    shown = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "operator", "ann"))("GET", "/v1/attesters").json()

    assert read_intake(answer.content).known.n == 4
    assert [(place["place"], place["n"], place["missing"]) for place in shown["places"]] == [("edge/tokyo-1", 4, 2)]


def test_another_life_follows_what_is_known(plane, tokyo):
    """A lost store begins at 1 and names the last one; an earlier life comes too late."""
    tokyo.send(tokyo.next())
    first = tokyo.last
    assert read_intake(tokyo.send(tokyo.next(life=2, n=1)).content).known.life == 2
    tokyo.last = first
    assert code(tokyo.send(tokyo.next())) == "attestation-forked"


def test_nobody_attests_for_another(plane, tokyo):
    """Not with a place's own key under another name, nor with another's key under one's own."""
    paris = Place(plane, PARIS)
    paris.enrol()
    assert code(tokyo.send(tokyo.next(iss=str(PARIS)))) == "attestation-issuer"
    tokyo.key, paris.key = paris.key, tokyo.key
    tokyo.last = None
    assert code(tokyo.send(tokyo.next())) == "attestation-issuer"


@pytest.mark.parametrize("seconds", [121, 86_400])
def test_one_from_the_future_is_not_taken(tokyo, seconds):
    """A place's clock may be two minutes ahead; late is no fault of who was cut off."""
    now = tokyo.plane.settings.clock.now()
    assert code(tokyo.send(tokyo.next(iat=now + seconds))) == "attestation-time"
    tokyo.last = None
    assert read_intake(tokyo.send(tokyo.next(iat=now - seconds)).content).accepted == 1


def test_an_unknown_key_is_not_taken(plane):
    """Endorsed first."""
    place = Place(plane, TOKYO)

    assert code(place.send(place.next())) == "attester-unknown"


def test_lines_are_taken_up_to_the_first_that_is_refused(tokyo):
    """What stands before it counts."""
    answer = read_intake(tokyo.send(tokyo.next(), Line("attestation", "e30.e30.e30")).content)

    assert (answer.accepted, answer.code) == (1, "attestation-malformed")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"opinion":"x"}', b'{"attestation":1}', b"[]", b'{"statement":"x"}\n' * 257]
)
def test_another_form_is_refused(tokyo, body):
    """One attestation or statement a line, at most 256."""
    assert tokyo.call("POST", "/v1/attestations", content=body, headers=JSON).status_code == 400


def search(place, **changes):
    now = place.plane.settings.clock.now()
    statement = Search(
        iss=str(place.peer), iat=now, seen=NONE, request="", subject=SUBJECT, seq=7, after=After(1, 1, FIRST),
        applied_at=now, trails={}, records=1, of_person=0, personalised_before_applied=0, personalised_after=0,
    )  # fmt: skip
    return Line("statement", sign_statement(replace(statement, **changes), place.key))


def test_statements_that_belong_together_share_one_leaf(plane, tokyo):
    """How many places there are does not show in the ledger, and the person's proof holds all of them."""
    paris = Place(plane, PARIS)
    paris.enrol()
    before = len(rows(plane, ledger_outbox))
    line = search(tokyo)
    for place, one in ((tokyo, line), (paris, search(paris)), (tokyo, line)):
        assert read_intake(place.send(one).content).accepted == 1
    assert plane.attesters.statements.flush() == 0
    plane.settings.clock.advance(31)
    assert plane.attesters.statements.flush() == 1
    with plane.database.read() as connection:
        (proof,) = plane.proofs.of(connection, SUBJECT)

    assert len(rows(plane, ledger_outbox)) == before + 1
    assert len(json.loads(proof.body)["jws"]) == 2
    assert plane.attesters.statements.flush() == 0


def test_waiting_statements_name_nobody(plane, tokyo):
    """Sealed under the person's key at once; of a person whose proofs are gone nothing is kept."""
    tokyo.send(search(tokyo))
    raw = b"".join(file.read_bytes() for file in plane.settings.home.rglob("*") if file.is_file())
    assert SUBJECT.encode() not in raw

    with plane.database.write() as connection:
        plane.proofs.destroy(connection, SUBJECT)
    plane.settings.clock.advance(31)
    plane.attesters.statements.flush()
    with plane.database.read() as connection:
        assert plane.proofs.of(connection, SUBJECT) == []


def test_a_place_that_stopped_leaves_the_list(plane, tokyo):
    """Only after it said so, by an operator, and the list without it has the next number."""
    operator = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "operator", "ann"))
    Place(plane, PARIS).enrol()
    tokyo.send(tokyo.next())
    retired = partial(operator, "POST", "/v1/attesters/retired", content=b'{"place":"edge/tokyo-1"}', headers=JSON)
    assert code(retired()) == "attester-running"
    tokyo.send(tokyo.next(kind="stop"))
    assert retired().json() == {"list": 3}
    assert code(retired()) == "attester-unknown-place"

    shown = operator("GET", "/v1/attesters").json()
    assert [place["place"] for place in shown["places"]] == ["edge/paris-1"]
