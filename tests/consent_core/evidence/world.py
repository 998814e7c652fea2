"""An operator with two POPs, three witnesses and one visitor, played to the end by hand: what packs are made of.

    world = World(tmp_path)
    world.play()
    data = world.sealed(world.pack("deletion"))

`tweaks` changes a value before it is signed and put into the ledger (None leaves it out): so the operator lies with
all of the operator's keys. The witnesses are honest.
"""

import hashlib
import json
import secrets
from dataclasses import replace
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.clock import ManualClock
from consent_core.evidence.bodies import (
    AttesterList,
    PolicyFact,
    attestation_body,
    attesters_body,
    endorsement_body,
    policy_body,
    receipt_body,
    request_body,
    revocation_body,
    statements_body,
)
from consent_core.evidence.pack import Log, Pack, Parties, Record, sign_pack
from consent_core.formats.attestation import FIRST, Attestation, LogPosition, PolicyInForce, sign_attestation
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.closing import Closing, sign_closing
from consent_core.formats.endorsement import Endorsement, attester_kid, sign_endorsement
from consent_core.formats.leaf import commit, fact_leaf, person_leaf, public_commitment
from consent_core.formats.note import Checkpoint, cosign, sign_checkpoint
from consent_core.formats.receipt import TYP as RECEIPT
from consent_core.formats.receipt import Purpose, Receipt, receipt_payload
from consent_core.formats.revocation import EVERY_VERSION
from consent_core.formats.seen import NONE, Seen
from consent_core.formats.statement import After, Deletion, Search, sign_statement
from consent_core.formats.tlog import LeafHashes, consistency_path, inclusion_path, leaf_hash, root_hash
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.policy.approval import Approval, sign_approval
from consent_core.policy.signature import lines_digest
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import Witness

START = 1_800_000_000
SUBJECT = "e9" * 32
WORDS = "# Notice\n\nChanging your mind is one click away.\n"
APPROVED = "# Approval\n\nThese rules follow the notices.\n"
PLACES = ("control-plane/main", "edge/frankfurt-1", "edge/tokyo-1")
NO_SEQ, PURGE_SEQ = 43, 44
WITNESSES = ("w1.example", "w2.example", "w3.example")


class Key:
    """An Ed25519 key of a place or a witness."""

    def __init__(self, name):
        self._private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.public_key = self._private.public_key().public_bytes_raw()
        self.kid = attester_kid(self.public_key)

    def sign(self, message):
        return self._private.sign(message)


class World:
    """Everybody's keys, the ledger, and what was put into it."""

    def __init__(self, directory, quorum=2, witnesses=WITNESSES, tweaks=None, places=PLACES):
        self.keys = KeyStore.open(directory / "operator", create=True, clock=ManualClock(START - 1000))
        self.witnesses = {name: Key(name) for name in witnesses}
        trusted = tuple(Witness(name, key.public_key) for name, key in self.witnesses.items())
        self.keys.set_trust(witnesses=trusted, witness_quorum=quorum)
        self.places = places
        self.attesters = {place: Key(place) for place in places}
        self.tweaks = tweaks or {}
        self.now = START
        self.leaves, self.placed, self.checkpoints = [], [], []
        self.chains = {place: [] for place in places}
        self.heads = dict.fromkeys([*(place.partition("/")[2] for place in places), "tokyo-1.w2"], 0)
        self.position, self.applied = 42, []
        self.receipts, self.request = [], None

    @property
    def trust(self):
        return self.keys.trust_file()

    @property
    def seen(self):
        return self.checkpoints[-1][1] if self.checkpoints else NONE

    # -- the ledger

    def put(self, body, kind="person", **named):
        salt = b"" if kind == "attesters" else secrets.token_bytes(32)
        commitment = public_commitment(body) if kind == "attesters" else commit(body, salt)
        leaf = person_leaf(commitment) if kind == "person" else fact_leaf(kind, commitment, **named)
        self.placed.append((body, salt, leaf, len(self.leaves)))
        self.leaves.append(leaf)

    def publish(self, cosigners=None, pad=3):
        """One beat: padding, a checkpoint, and the cosignatures of the witnesses now."""
        self.leaves += [person_leaf(secrets.token_bytes(32)) for _ in range(pad)]
        size, root = len(self.leaves), root_hash(len(self.leaves), self.hashes())
        note = sign_checkpoint(Checkpoint(self.trust.ledger_origin, size, root), [self.keys.current("ledger")])
        for name in self.witnesses if cosigners is None else cosigners:
            note += cosign(note, name, self.witnesses[name], self.now)
        self.checkpoints.append((note.decode(), Seen(size, root)))

    def hashes(self, size=None):
        return LeafHashes([leaf_hash(leaf) for leaf in self.leaves[:size]])

    # -- what people and places say

    def tweaked(self, name, value):
        return self.tweaks[name](value) if name in self.tweaks else value

    def policy(self):
        digest = "ab" * 32
        subject = lines_digest({"data.json": digest})
        approval = Approval("policy-approval", sha256_digest(APPROVED.encode()), "Ada Example", subject, self.now)
        jws = sign_approval(approval, self.keys.current("bundle")).decode()
        files = {"data.json": digest, "approval.jws": hashlib.sha256(jws.encode()).hexdigest()}
        policy = self.tweaked("policy", PolicyFact(lines_digest(files), 1, files, jws))
        self.policy_hash = policy.hash
        self.put(policy_body(policy), "policy")

    def endorse(self, place, not_after=START + 10**6):
        key = self.attesters[place]
        endorsement = Endorsement(f"spiffe://ui-tools/{place}", key.kid, key.public_key, START - 100, not_after)
        endorsement = self.tweaked("endorsement", endorsement)
        if endorsement is not None:
            envelope = sign_endorsement(endorsement, self.keys.current("attestation"))
            self.put(endorsement_body(json.loads(envelope)), "endorsement", by=place)

    def list_places(self, n=1, places=None, portable=()):
        listed = self.tweaked("list", AttesterList(n, self.now, tuple(places or self.places), tuple(portable)))
        if listed is not None:
            self.put(attesters_body(listed), "attesters", n=listed.n)

    def attest(self, place, kind="interval", signer=None, **changes):
        chain = self.chains[place]
        last = chain[-1][0] if chain else None
        name = place.partition("/")[2]
        attestation = Attestation(
            iss=f"spiffe://ui-tools/{place}",
            iat=self.now,
            kind=kind,
            life=last.life if last else 1,
            n=last.n + 1 if last else 1,
            prev=sha256_digest(chain[-1][1].encode()) if chain else FIRST,
            since=last.until if last else self.now,
            until=self.now,
            components={"personalization": "sha256:" + "11" * 32},
            releases={},
            policy=PolicyInForce(self.policy_hash, 1, START),
            log=LogPosition(
                "A" * 22, self.position, tuple(self.applied), ((last.until if last else self.now, self.now),)
            ),
            seen=self.seen,
            audit={trail: self.head(trail) for trail in self.heads if trail.partition(".")[0] == name},
        )
        attestation = self.tweaked("attestation", replace(attestation, **changes))
        if attestation is None:
            return
        text = sign_attestation(attestation, signer or self.attesters[place])
        chain.append((attestation, text))
        self.put(attestation_body(text), "attestation", by=place, life=attestation.life, n=attestation.n)

    def head(self, trail):
        return f"{self.heads[trail]}:{hashlib.sha256(f'{trail}{self.heads[trail]}'.encode()).hexdigest()}"

    def choose(self, effective, state="given", follows=None):
        ver = len(self.receipts) + 1
        receipt = Receipt(
            receipt_id=f"r{ver}",
            record_id="rec",
            ver=ver,
            pii_principal_id=SUBJECT,
            privacy_notice={"clause_id": "notice-zz", "clause_sha256": sha256_digest(WORDS.encode())},
            language="en",
            jurisdiction="ZZ",
            region="tokyo-1",
            age_band="adult",
            gpc=False,
            gpc_honoured=False,
            policy_hash=self.policy_hash,
            purposes=tuple(
                Purpose(c, state, c in effective, "consent", "consent", (), "edge", (), 0, (), "here")
                for c in CATEGORIES
            ),
            parties=(),
            events=({"event_type": "explicit", "event_state": state, "event_time": self.now, "entity_id": "tokyo-1"},),
            follows=ver - 1,
        )
        receipt = self.tweaked("receipt", receipt)
        if receipt is None:
            self.receipts.append(None)
            return
        text = signed_receipt(receipt, self.keys.current("log"))
        self.receipts.append(text)
        self.put(receipt_body(text, self.seen, receipt.pii_principal_id))

    def enter(self, kind, seq, ver):
        effect = {"session": "stop", "purge": "erase"}[kind]
        entry = {"seq": seq, "kind": kind, "subject": SUBJECT, "categories": list(CATEGORIES), "ver": ver}
        entry = self.tweaked("entry", {**entry, "at": self.now, "effect": effect, "salt": "A" * 22, "said": 0})
        if entry is not None:
            self.put(revocation_body(entry, self.seen))

    def search(self, *places):
        self.state([self._search(place) for place in places])

    def delete(self, *places):
        self.state([self._deletion(place) for place in places])

    def state(self, statements):
        kept = [self.tweaked(type(statement).__name__.lower(), statement) for statement in statements]
        kept = [statement for statement in kept if statement is not None]
        jws = [sign_statement(statement, self.attesters[statement.place]) for statement in kept]
        self.put(statements_body(jws, SUBJECT))

    def _common(self, place):
        last, text = self.chains[place][-1]
        after = After(last.life, last.n, sha256_digest(text.encode()))
        return {
            "iss": last.iss,
            "iat": self.now,
            "seen": self.seen,
            "request": "dsr-1",
            "subject": SUBJECT,
            "after": after,
        }

    def _search(self, place):
        chain = [attestation for attestation, _ in self.chains[place]]
        before = [attestation for attestation in chain if attestation.until <= self.no_at][-1]
        trails = {trail: (before.audit[trail], head) for trail, head in chain[-1].audit.items()}
        counts = {"records": 20, "of_person": 3, "personalised_before_applied": 1, "personalised_after": 0}
        return Search(**self._common(place), seq=NO_SEQ, applied_at=self.no_at + 1, trails=trails, **counts)

    def _deletion(self, place):
        writers = list(self.chains[place][-1][0].audit)
        each = [f"{what}.{writer}" for what in ("trail", "memory") for writer in writers]
        if place.startswith("edge/"):
            profile, parts, day = "pop/v1", ["history", "sessions", "outbox", "queue"], "2027-01-30"
            ends = dict.fromkeys(("log_answers", "denials", "tombstone"), day)
        else:
            profile, ends = "control-plane/v1", {"log": "2027-01-30"}
            parts = ["records", "receipts", "sessions", "withdrawals", "queue", "purge_receipts", "telemetry"]
        rows = dict.fromkeys([*parts, *each], 0)
        deleted = {**rows, parts[0]: 3}
        return Deletion(
            **self._common(place), seq=PURGE_SEQ, parts=profile, deleted=deleted, remaining=rows, ends=ends, at=self.now
        )

    # -- the story

    def step(self, seconds=30, **how):
        self.now += seconds
        self.publish(**how)

    def intervals(self):
        for trail in self.heads:
            self.heads[trail] += 10
        for place in self.places:
            self.attest(place)
        self.applied = []
        self.step()

    def begin(self):
        self.policy()
        for place in self.places:
            self.endorse(place)
        self.list_places()
        self.step()
        for place in self.places:
            self.attest(place, "start")
        self.step()

    def say_yes(self):
        self.choose({"contextual", "behavioral"})
        self.step()
        self.intervals()

    def say_no(self):
        self.no_at = self.now
        self.choose(set(), "withdrawn")
        self.enter("session", NO_SEQ, 2)
        self.position, self.applied = NO_SEQ, [(NO_SEQ, self.now + 1)]
        self.step(2)
        self.intervals()
        self.search(*self.places[1:])
        self.step()

    def erase(self):
        self.enter("purge", PURGE_SEQ, EVERY_VERSION)
        self.position, self.applied = PURGE_SEQ, [(PURGE_SEQ, self.now + 1)]
        self.step(2)
        self.intervals()
        self.delete(*self.places)
        self.step()

    def ask(self):
        """The request's record, as it is when the file is made."""
        done = [("verify", "request"), ("revoke", "request"), ("collect", "request"), ("purge", "request")]
        done += [("enforced", place) for place in self.places[1:]] + [("erased", place) for place in self.places]
        steps = [{"step": step, "party": party, "state": "done"} for step, party in done if (step, party)]
        steps += [{"step": step, "party": "request", "state": "open"} for step in ("evidence", "salts", "notify")]
        record = {"id": "dsr-1", "kind": "deletion", "received_at": self.now - 30, "due_at": self.now + 10**6}
        self.request = self.tweaked("request", {**record, "binding": "law", "steps": steps})
        self.put(request_body(self.request, self.seen, SUBJECT))
        self.step()

    def play(self):
        """Yes, no, request, erasure."""
        for act in (self.begin, self.say_yes, self.say_no, self.erase, self.ask):
            act()
        return self

    # -- the file

    def pack(self, question="deletion", records=None):
        checkpoints = self.checkpoints
        sizes = [seen.size for _, seen in checkpoints]
        proofs = [tuple(consistency_path(a, b, self.hashes(b))) for a, b in pairwise(sizes)]
        log = Log(self.trust.ledger_origin, tuple(note for note, _ in checkpoints), tuple(proofs))
        deletion = question == "deletion"
        return Pack(
            subject=SUBJECT,
            question=question,
            logs=(log,),
            records=tuple(self._record(placed, sizes) for placed in (records or self.placed)),
            parties=Parties(tuple(place.removeprefix("edge/") for place in self.places[1:]), self.places[:1]),
            texts={sha256_digest(text.encode()): text for text in (WORDS, APPROVED)},
            made_at=self.now,
            open=("salts", "notify") if deletion else (),
            left=("copies you gave away: they open these leaves for ever",),
            request=self.request if deletion else None,
        )

    def _record(self, placed, sizes):
        body, salt, leaf, index = placed
        first = next(number for number, size in enumerate(sizes) if size > index)
        proof = tuple(inclusion_path(index, sizes[first], self.hashes(sizes[first])))
        return Record(json.loads(body), salt, leaf, index, 0, first, proof)

    def sealed(self, pack):
        return sign_pack(pack, self.keys.current("attestation"))

    def closing(self, data, **changes):
        closing = Closing("dsr-1", sha256_digest(data), (), self.now + 5, (), self.now + 6, self.seen)
        return sign_closing(replace(closing, **changes), self.keys.current("attestation"))


def signed_receipt(receipt, key):
    """As the control plane signs it."""
    header = canonical_json({"alg": "EdDSA", "kid": key.kid, "typ": RECEIPT})
    message = f"{encode_base64url(header)}.{encode_base64url(receipt_payload(receipt))}"
    return f"{message}.{encode_base64url(key.sign(message.encode()))}"
