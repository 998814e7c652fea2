"""The room put together, and what it does at a start: who was erased is erased again before anything is served."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection

from consent_core.errors import Unavailable
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from control_plane.attesters.own import OwnAttester
from control_plane.consent import records
from control_plane.consent.consents import Consents
from control_plane.dsar import store
from control_plane.dsar.answering import Answers
from control_plane.dsar.asking import Asking
from control_plane.dsar.closing import Closings
from control_plane.dsar.correcting import Correcting
from control_plane.dsar.csv_file import FILE, RequestList
from control_plane.dsar.deadlines import Deadlines
from control_plane.dsar.doing import Doing
from control_plane.dsar.gathering import Gathering
from control_plane.dsar.holding import held_requests
from control_plane.dsar.intake import Intake
from control_plane.dsar.machine import Machine
from control_plane.dsar.register import Erasure, Register
from control_plane.dsar.steps import FINAL
from control_plane.dsar.turn import Turn
from control_plane.evidence.packing import Packing
from control_plane.ledger.ledger import Ledger
from control_plane.log.log import RevocationLog
from control_plane.proofs.store import ProofStore
from control_plane.revocations.revoking import Revoking
from control_plane.settings import DAY_S, Settings
from control_plane.store.database import Database

RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Around:
    """The rooms that it stands on."""

    database: Database
    ledger: Ledger
    proofs: ProofStore
    keys: KeyStore
    log: RevocationLog
    consents: Consents
    revoking: Revoking
    packing: Packing
    own: OwnAttester
    register: Register


@dataclass(frozen=True, slots=True)
class Held:
    """People on hold, as the proof store finds them and as the log names them."""

    handles: frozenset[str]
    subjects: frozenset[str]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of one deployment."""

    settings: Settings
    around: Around
    register: Register
    intake: Intake
    asking: Asking
    gathering: Gathering
    machine: Machine
    turn: Turn

    @classmethod
    def of(cls, settings: Settings, around: Around) -> Self:
        """Over one store. Raises: Untrusted("erasure-register"), ValueError for deadlines that cannot be followed."""
        clock, database, proofs = settings.clock, around.database, around.proofs
        register = around.register
        kept = (settings.evidence_kept_days, settings.backups_kept_days)
        closings = Closings(database, around.packing, around.keys, around.ledger, clock, *kept)
        listed = RequestList(settings.home / FILE, database)
        deadlines = Deadlines.load(settings.legal)
        intake = Intake(around.log, proofs, around.keys, register, deadlines, closings, listed, clock)
        answers = Answers(proofs, settings.consent_retention_s, settings.proof_kept_days)
        gathering = Gathering(database, proofs, answers, clock)
        correcting = Correcting(around.log, around.consents)
        parts = (proofs, around.revoking, register, around.own, closings, gathering, correcting)
        machine = Machine(Doing(database, clock, *parts), listed)
        requests = cls(settings, around, register, intake, Asking(intake), gathering, machine, Turn(database))
        requests.erase_again()
        return requests

    def erase_again(self) -> int:
        """Erase who was erased before, in whatever copy this store is; how many there were.

        Raises: Untrusted("erasure-register"): nothing is served by who cannot know whom it must not serve.
        """
        return sum(self._erase(entry) for entry in self.register.entries())

    def shred_again(self) -> None:
        """The same in the trails of this process. Raises: Unavailable."""
        for subject in self.register.subjects():
            for trail in self.around.revoking.erasing.trails.values():
                if trail.keys_left(subject):
                    trail.shred(subject)

    def held(self) -> Held:
        """Whose data no sweep deletes."""
        with self.around.database.read() as connection:
            requests = held_requests(connection)
        subjects = (self.machine.doing.subject_of(request) for request in requests)
        return Held(frozenset(one.handle for one in requests), frozenset(one for one in subjects if one is not None))

    def sweep(self, connection: Connection) -> None:
        """Delete what was kept for askers long enough, and entries of the register that no copy needs any more."""
        now = self.settings.clock.now()
        store.drop_answers(connection, now - self.settings.evidence_kept_days * DAY_S)
        self.register.forget(now - self.settings.register_kept_days * DAY_S)

    def _erase(self, entry: Erasure) -> bool:
        came_back = self._purge_again(entry.subject)
        with self.around.database.write() as connection:
            return self._close(connection, entry) or came_back

    def _purge_again(self, subject: str) -> bool:
        """Of who came back with a copy every row goes, here and, by the log, at the copies of POPs."""
        with self.around.database.read() as connection:
            if records.sub_of(connection, subject) is None:
                return False
        try:
            self.around.revoking.revoke(RevocationRequest("purge", subject, CATEGORIES))
        except Unavailable:  # a log that does not serve yet: what it forgot comes back with its restore
            with self.around.database.write() as connection:
                visitor = records.find_visitor(connection, subject=subject)
                self.around.revoking.erasing.delete(connection, visitor, subject)
        return True

    def _close(self, connection: Connection, entry: Erasure) -> bool:
        """The request of a copy is over, and its proofs are gone; whether there were any."""
        request = store.find(connection, entry.request)
        rows = store.steps_of(connection, entry.request)
        active = request is not None and request.state in store.ACTIVE
        under_way = active and any(row.step == FINAL and row.done for row in rows)
        if entry.is_purge or under_way or (active and self._is_newest(rows)):
            return False  # a purge leaves proofs; and where the machine goes on, they are for its file
        if active:  # a copy from before: what came after it is not known here, but that it was done is
            now = self.settings.clock.now()
            store.change(connection, entry.request, state=store.FULFILLED, reason=RESTORED, closed_at=now)
        gone = self.around.proofs.count(connection, entry.subject)
        if gone or not self.around.proofs.is_destroyed(entry.subject):
            self.around.proofs.destroy(connection, entry.subject)
        return bool(gone)

    @staticmethod
    def _is_newest(rows: list[store.StepRow]) -> bool:
        """Killed between the register and its mark: the step before it is done."""
        return any(row.step == "collect" and row.done for row in rows)
