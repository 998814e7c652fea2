"""Puts the evidence file of one person together: proofs, facts, their places in the ledger, the words shown.

    data = packing.pack(subject, "enforcement")

The file can be made as long as the person's proofs are kept, and shows no more than they do. What it leaves open it
says: `open` names what was not done when it was made, `left` what stays in any case.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.evidence.bodies import malformed, read_entry_shown
from consent_core.evidence.pack import QUESTIONS, ROLE, Pack, Parties, sign_pack
from consent_core.formats.attestation import MAX_ATTESTATION_BYTES
from consent_core.formats.jws import read_jws
from consent_core.formats.leaf import person_leaf
from consent_core.formats.receipt import Receipt, open_receipt
from consent_core.formats.seen import Seen, read_seen
from consent_core.formats.statement import TYP as STATEMENT
from consent_core.policy.bundle import open_bundle
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import NO_LOG
from control_plane.attesters.endorsing import read_attestation
from control_plane.attesters.facts import Fact
from control_plane.evidence.choosing import Story, choose
from control_plane.evidence.proving import Opening, prove
from control_plane.ledger.ledger import Ledger
from control_plane.proofs.store import Proof, ProofStore
from control_plane.store.database import Database
from control_plane.store.schema import bundles

LEFT = (
    "copies you gave away: they open these leaves for ever",
    "the leaves in the public list: 32 random-looking bytes each",
)


@dataclass(frozen=True, slots=True)
class Packing:
    """Makes evidence files. `proof_kept_days`, `backups_kept_days`: what the file says of how long its proofs stay."""

    database: Database
    ledger: Ledger
    proofs: ProofStore
    keys: KeyStore
    clock: Clock
    proof_kept_days: int
    backups_kept_days: int

    def pack(self, subject: str, question: str, request: Mapping[str, Any] | None = None) -> bytes:
        """The signed file. Raises: Rejected("evidence-none", 404), Unavailable("evidence-early")."""
        if question not in QUESTIONS:
            raise Rejected("bad-request", f"question: expected one of {', '.join(QUESTIONS)}")
        with self.database.read() as connection:
            proofs = [proof for proof in self.proofs.of(connection, subject) if _belongs(proof, question)]
            if not proofs:
                raise Rejected("evidence-none", "no proof is kept of a person of that name", status=404)
            bodies = [json.loads(proof.body) for proof in proofs]
            story = _story(bodies, min((_given_at(one) for one in self._receipts(bodies)), default=0))
            facts = choose(connection, story) if question != "consent" else []
            texts = self._texts(connection, bodies, facts)
        policies = self._policies(bodies, facts)
        openings = [*_opened(proofs, bodies), *_facts_opened([*facts, *policies])]
        proven = prove(self.ledger, self.keys.trust_file().ledger_origin, openings, _seen(bodies, facts))
        pack = Pack(
            subject=subject,
            question=question,
            logs=(proven.log,),
            records=proven.records,
            parties=_parties(facts),
            texts=texts,
            made_at=self.clock.now(),
            open=self._open(question, story, facts),
            left=(*LEFT, *self._kept()),
            request=request,
        )
        return sign_pack(pack, self.keys.current(ROLE))

    def _kept(self) -> tuple[str, ...]:
        return (
            f"the proofs in this file, sealed: {self.proof_kept_days:,} days from each, or until you ask for erasure",
            f"backups of their keys: {self.backups_kept_days:,} days more",
        )

    def _open(self, question: str, story: Story, facts: Sequence[Fact]) -> tuple[str, ...]:
        """What was asked of places and not stated by all of them yet; the proofs themselves are still here."""
        after = ("salts", "notify") if question == "deletion" else ()
        if question == "consent" or story.no is None:
            return after
        edges = {f"edge/{name}" for name in _parties(facts).pops}
        missing = [step for step, kind in (("enforced", "search"), ("erased", "deletion")) if story.lacks(kind, edges)]
        return (*(step for step in missing if step == "enforced" or question == "deletion"), *after)

    def _policies(self, bodies: Iterable[Mapping[str, Any]], facts: Iterable[Fact]) -> list[Fact]:
        """The policies that receipts and places name, as the ledger holds them."""
        wanted = {receipt.policy_hash for receipt in self._receipts(bodies)} | _attested_policies(facts)
        held = [Fact(fact.kind, "", fact.body, fact.salt or b"") for fact in self.ledger.store.facts.of("policy")]
        return [fact for fact in held if json.loads(fact.body)["hash"] in wanted]

    def _texts(
        self, connection: Connection, bodies: Iterable[Mapping[str, Any]], facts: Iterable[Fact]
    ) -> dict[str, str]:
        """The clauses that receipts name, and those under which their policies were approved."""
        receipts = self._receipts(bodies)
        wanted = {str(receipt.privacy_notice.get("clause_sha256")) for receipt in receipts}
        hashes = {receipt.policy_hash for receipt in receipts} | _attested_policies(facts)
        found: dict[str, str] = {}
        rows = connection.execute(select(bundles.c.body, bundles.c.at).where(bundles.c.hash.in_(hashes)))
        for row in rows:
            bundle = open_bundle(row.body, self.keys.trust_file(), row.at, NO_LOG, min_revision=0)
            wanted |= {bundle.approval.clause_sha256}
            found |= {clause.sha256: clause.markdown for clause in bundle.clauses.values()}
        return {digest: text for digest, text in found.items() if digest in wanted}

    def _receipts(self, bodies: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        trust = self.keys.trust_file()
        return [open_receipt(body["jws"], trust, NO_LOG) for body in bodies if body["kind"] == "receipt"]


def _belongs(proof: Proof, question: str) -> bool:
    """A file about consent shows what was said; what places did about it belongs to the other questions."""
    return question != "consent" or json.loads(proof.body)["kind"] != "statements"


def _given_at(receipt: Receipt) -> int:
    return int(receipt.events[0]["event_time"])


def _story(bodies: Sequence[Mapping[str, Any]], begun: int) -> Story:
    entries = tuple(read_entry_shown(body["entry"]) for body in bodies if body["kind"] == "revocation")
    return Story(begun, entries, tuple(_statements(bodies)))


def _statements(bodies: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for body in bodies:
        for jws in body["jws"] if body["kind"] == "statements" else ():
            yield read_jws(jws, STATEMENT, MAX_ATTESTATION_BYTES, malformed).payload


def _opened(proofs: Sequence[Proof], bodies: Sequence[Mapping[str, Any]]) -> list[Opening]:
    return [
        Opening(body, proof.salt, person_leaf(bytes.fromhex(proof.leaf_key)))
        for proof, body in zip(proofs, bodies, strict=True)
    ]


def _facts_opened(facts: Iterable[Fact]) -> list[Opening]:
    return [Opening(json.loads(fact.body), fact.salt, fact.leaf) for fact in facts]


def _seen(bodies: Iterable[Mapping[str, Any]], facts: Iterable[Fact]) -> list[Seen]:
    """Every checkpoint that something in the file was made after."""
    bodies = list(bodies)
    named = [body["seen"] for body in bodies if "seen" in body]
    named += [statement["seen"] for statement in _statements(bodies)]
    attested = [read_attestation(fact).seen for fact in facts if fact.kind == "attestation"]
    return [*(read_seen(text, malformed) for text in named), *attested]


def _attested_policies(facts: Iterable[Fact]) -> set[str]:
    attested = [read_attestation(fact).policy for fact in facts if fact.kind == "attestation"]
    return {policy.hash for policy in attested if policy is not None}


def _parties(facts: Iterable[Fact]) -> Parties:
    places = {place for fact in facts if fact.kind == "attesters" for place in json.loads(fact.body)["places"]}
    return Parties(
        pops=tuple(sorted(place.removeprefix("edge/") for place in places if place.startswith("edge/"))),
        control_planes=tuple(sorted(place for place in places if place.startswith("control-plane/"))),
    )
