"""A workload's own key becomes its attester key: endorsed by role `attestation`, and put into the ledger.

    answer = endorsing.endorse("spiffe://ui-tools/edge/tokyo-1", request)

The private half stays at the workload, which proves that it holds it. A place that is new joins the public list in the
same transaction. Asking again gives the same endorsement, and what is known of the place's chain.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.evidence.bodies import endorsement_body
from consent_core.formats.attestation import Attestation, open_attestation, place_of
from consent_core.formats.attester import AttesterAnswer, AttesterRequest, Known, proof_message
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.endorsement import ROLE, Endorsement, sign_endorsement
from consent_core.trust.keys import CLOCK_SKEW_S, KeyStore
from consent_core.trust.signatures import verify_signature
from control_plane.attesters import facts, listing
from control_plane.attesters.facts import Fact
from control_plane.store.database import Database
from control_plane.store.schema import attesters as table

ENDORSED_S = 366 * 86_400  # an attester makes another key before a year is over


@dataclass(frozen=True, slots=True)
class Attester:
    """An endorsed key. `refused`: why nothing more is taken from it, "" if it is good."""

    place: str
    kid: str
    key: bytes
    not_before: int
    not_after: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Endorsing:
    """The endorsements of one deployment."""

    database: Database
    keys: KeyStore
    clock: Clock

    def endorse(self, spiffe_id: str, request: AttesterRequest) -> AttesterAnswer:
        """Endorse the key of who calls. Raises: Rejected("attester-proof", 400 | 409)."""
        _require_held(spiffe_id, request)
        place = place_of(spiffe_id)
        with self.database.write() as connection:
            known = find(connection, request.kid)
            if known is not None and known.place != place:
                raise Rejected("attester-proof", "this key is another workload's", status=409)
            if known is None:
                self._add(connection, spiffe_id, request)
            fact = facts.one(connection, "endorsement", request.kid)
            assert fact is not None
            return AttesterAnswer(json.loads(fact.body)["envelope"], newest_of(connection, place))

    def retire(self, place: str) -> int:
        """Take a place off the public list for good, once it has said that it stopped. Returns: the list's number.

        Raises: Rejected("attester-unknown-place", 404), Rejected("attester-running", 409).
        """
        with self.database.write() as connection:
            listed = listing.current(connection)
            if listed is None or place not in listed.places:
                raise Rejected("attester-unknown-place", "no place of that name is on the list", status=404)
            newest = facts.newest(connection, "attestation", place)
            if newest is not None and read_attestation(newest).kind != "stop":
                raise Rejected("attester-running", "the place has not said that it stopped", status=409)
            return listing.leave(connection, place, self.clock.now())

    def _add(self, connection: Connection, spiffe_id: str, request: AttesterRequest) -> None:
        place, now = place_of(spiffe_id), self.clock.now()
        endorsed = Endorsement(spiffe_id, request.kid, request.key, now - CLOCK_SKEW_S, now + ENDORSED_S)
        envelope = json.loads(sign_endorsement(endorsed, self.keys.current(ROLE)))
        fact = Fact.of("endorsement", request.kid, endorsement_body(envelope), place)
        facts.put(connection, fact, now)
        validity = {"not_before": endorsed.not_before, "not_after": endorsed.not_after}
        row = {"kid": request.kid, "place": place, "key": request.key, **validity, "refused": "", "at": now}
        connection.execute(insert(table).values(row))
        listing.join(connection, place, now)


def find(connection: Connection, kid: str) -> Attester | None:
    """The endorsed key of that name."""
    columns = (table.c.place, table.c.kid, table.c.key, table.c.not_before, table.c.not_after, table.c.refused)
    row = connection.execute(select(*columns).where(table.c.kid == kid)).one_or_none()
    return None if row is None else Attester(*row)


def newest_of(connection: Connection, place: str) -> Known:
    """The newest attestation of a place."""
    fact = facts.newest(connection, "attestation", place)
    if fact is None or fact.life is None or fact.n is None:
        return Known()
    return Known(fact.life, fact.n, digest_in(fact))


def read_attestation(fact: Fact) -> Attestation:
    """An attestation that was verified when it was taken."""
    return open_attestation(str(json.loads(fact.body)["jws"]), lambda *_: None)


def digest_in(fact: Fact) -> str:
    """The digest by which an attestation's successor names it."""
    return sha256_digest(str(json.loads(fact.body)["jws"]).encode())


def _require_held(spiffe_id: str, request: AttesterRequest) -> None:
    try:
        verify_signature("ed25519", request.key, proof_message(spiffe_id), request.proof)
    except Rejected as error:
        raise Rejected("attester-proof", "the proof is not by that key, for this workload") from error
