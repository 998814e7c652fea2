"""What each step does, and what shows that it is done. Every step may be done again after a kill, and counts once.

result = doing.do(request, row)      # None: not done yet, asked again at the next look
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent_core.clock import Clock
from consent_core.errors import Unavailable
from consent_core.evidence.bodies import malformed
from consent_core.formats.attestation import MAX_ATTESTATION_BYTES, place_of
from consent_core.formats.jws import read_jws
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.statement import TYP as STATEMENT
from consent_core.formats.token import CATEGORIES
from control_plane.attesters import listing
from control_plane.attesters.own import OwnAttester
from control_plane.dsar import store
from control_plane.dsar.closing import Closings
from control_plane.dsar.correcting import Correcting
from control_plane.dsar.gathering import Gathering
from control_plane.dsar.holding import is_held
from control_plane.dsar.register import Register
from control_plane.dsar.steps import DEVICES, HOLDERS, NONE, PLACES, POPS, RELEASES, step_of
from control_plane.dsar.store import Request, StepRow
from control_plane.proofs.store import ProofStore
from control_plane.revocations.revoking import Revoking
from control_plane.store.database import Database

Result = Mapping[str, Any] | None
CONTROL_PLANE = "control-plane/"


@dataclass(frozen=True, slots=True)
class Doing:
    """The steps of one deployment."""

    database: Database
    clock: Clock
    proofs: ProofStore
    revoking: Revoking
    register: Register
    own: OwnAttester
    closings: Closings
    gathering: Gathering
    correcting: Correcting

    def subject_of(self, request: Request) -> str | None:
        """Who asked, by the log's name; None once their proofs are gone."""
        plain = self.proofs.unseal(request.subject)
        return None if plain is None else plain.decode("ascii")

    def parties(self, connection: Connection, request: Request, step: str) -> tuple[str, ...]:
        """Who must do a step of several parties, as the public list has them now."""
        kind = step_of(request.kind, step).party
        listed = listing.current(connection)
        places = () if listed is None else listed.places
        if kind in (DEVICES, RELEASES):
            return (NONE,)
        if kind == POPS:
            return tuple(place for place in places if place.startswith("edge/")) or (NONE,)
        return tuple(dict.fromkeys((*places, self.own.place))) if kind in (PLACES, HOLDERS) else ()

    def do(self, request: Request, row: StepRow) -> Result:
        """Do a step, or look whether it was done. Raises: ConsentEdgeError; it stays owed."""
        if row.party == NONE:
            return {"none": True}
        return _STEPS[row.step](self, request, row)

    def _verify(self, request: Request, row: StepRow) -> Result:
        return {"by": request.verified_by} if request.confirmed_at <= self.clock.now() else None

    def _revoke(self, request: Request, row: StepRow) -> Result:
        categories = tuple(c for c in CATEGORIES if c in request.wish.get("categories", CATEGORIES))
        entry = self.revoking.revoke(RevocationRequest("session", self._subject(request), categories))
        return {"seq": entry.seq}

    def _enforced(self, request: Request, row: StepRow) -> Result:
        return self._stated(request, row, "search", self._seq(request, "revoke"))

    def _collect(self, request: Request, row: StepRow) -> Result:
        """What the file will be made of is kept, and outlives the record."""
        with self.database.read() as connection:
            kept = self.proofs.of(connection, self._subject(request))
        return dict(Counter(str(json.loads(proof.body)["kind"]) for proof in kept))

    def _register(self, request: Request, row: StepRow) -> Result:
        """The point of no return, with the request locked against cancelling and holding."""
        subject, now = self._subject(request), self.clock.now()
        with self.database.write() as connection:
            current = store.find(connection, request.id, lock=True)
            if current is None or current.state not in store.ACTIVE:
                return None
            if is_held(connection, current.handle):
                raise Unavailable("request-held", "a hold forbids to erase this person's data until it is lifted")
            self.register.add(subject, request.id, now)
            return {"at": now}

    def _purge(self, request: Request, row: StepRow) -> Result:
        entry = self.revoking.revoke(RevocationRequest("purge", self._subject(request), CATEGORIES))
        return {"seq": entry.seq}

    def _erased(self, request: Request, row: StepRow) -> Result:
        seq = self._seq(request, "purge")
        if row.party == self.own.place:
            self._state_own(request, row, seq)
        return self._stated(request, row, "deletion", seq)

    def _state_own(self, request: Request, row: StepRow, seq: int) -> None:
        """Every POP first, then this place; said once."""
        with self.database.read() as connection:
            rows = store.steps_of(connection, request.id)
        others = [other for other in rows if other.step == row.step and other.party != row.party]
        if row.result or not all(other.done for other in others):
            return
        self.revoking.erasing.step()
        subject = self._subject(request)
        self.own.state_deletion(subject, seq, lambda connection: store.note(connection, row, {"stated": True}))

    def _evidence(self, request: Request, row: StepRow) -> Result:
        return self.closings.evidence(request, self._subject(request))

    def _salts(self, request: Request, row: StepRow) -> Result:
        """Nobody here opens this person's leaves any more, nor reads who asked."""
        subject, now = self.subject_of(request), self.clock.now()
        with self.database.write() as connection:
            if subject is not None:
                self.proofs.destroy(connection, subject)
            self.proofs.discard(connection, request.handle)  # killed in between: the keys are gone, the rows are not
        return {"at": now}

    def _notify(self, request: Request, row: StepRow) -> Result:
        return self.closings.close(request) if request.kind == "deletion" else {"told": True}

    def _gather(self, request: Request, row: StepRow) -> Result:
        return self.gathering.gather(request, row, self._subject(request), self.own.place)

    def _correct(self, request: Request, row: StepRow) -> Result:
        return self.correcting.correct(request, self._subject(request))

    def _stated(self, request: Request, row: StepRow, kind: str, seq: int) -> Result:
        """The place's own statement about this entry, once it is among the proofs."""
        with self.database.read() as connection:
            proofs = self.proofs.of(connection, self._subject(request))
        bodies = [json.loads(proof.body) for proof in proofs]
        for body in bodies:
            for jws in body["jws"] if body["kind"] == "statements" else ():
                said = read_jws(jws, STATEMENT, MAX_ATTESTATION_BYTES, malformed).payload
                if (said["kind"], said["seq"], place_of(said["iss"])) == (kind, seq, row.party):
                    return {"iat": said["iat"]}
        return None

    def _seq(self, request: Request, step: str) -> int:
        with self.database.read() as connection:
            rows = store.steps_of(connection, request.id)
        return int(next(row.result["seq"] for row in rows if row.step == step))

    def _subject(self, request: Request) -> str:
        subject = self.subject_of(request)
        if subject is None:
            raise Unavailable("request-sealed", "the key that seals who asked is gone")
        return subject


_Do = Callable[[Doing, Request, StepRow], Result]
_STEPS: Mapping[str, _Do] = {
    "verify": Doing._verify,
    "revoke": Doing._revoke,
    "enforced": Doing._enforced,
    "collect": Doing._collect,
    "register": Doing._register,
    "purge": Doing._purge,
    "erased": Doing._erased,
    "evidence": Doing._evidence,
    "salts": Doing._salts,
    "notify": Doing._notify,
    "gather": Doing._gather,
    "correct": Doing._correct,
}
