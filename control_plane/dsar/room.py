"""The room put together, and what it does at a start: who was erased is erased again before anything is served."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection

from consent_core.trust.keys import KeyStore
from consent_core.trust.providers import KeyProvider
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
from control_plane.dsar.register import Register
from control_plane.dsar.steps import FINAL
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

    @classmethod
    def of(cls, settings: Settings, around: Around, provider: KeyProvider) -> Self:
        """Over one store. Raises: Untrusted("erasure-register"), ValueError for deadlines that cannot be followed."""
        clock, database, proofs = settings.clock, around.database, around.proofs
        register = Register.open(settings.register_home, provider)
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
        requests = cls(settings, around, register, intake, Asking(intake), gathering, machine)
        requests.erase_again()
        return requests

    def erase_again(self) -> int:
        """Erase who was erased before, in whatever copy this store is; how many there were.

        Raises: Untrusted("erasure-register"): nothing is served by who cannot know whom it must not serve.
        """
        entries = self.register.entries()
        with self.around.database.write() as connection:
            return sum(self._erase(connection, entry.subject, entry.request) for entry in entries)

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

    def _erase(self, connection: Connection, subject: str, name: str) -> bool:
        request = store.find(connection, name)
        rows = store.steps_of(connection, name)
        active = request is not None and request.state in store.ACTIVE
        under_way = active and any(row.step == FINAL and row.done for row in rows)
        visitor = records.find_visitor(connection, subject=subject)
        if visitor is not None:
            self.around.revoking.erasing.delete(connection, visitor, subject)
        if under_way or (active and self._is_newest(rows)):
            return visitor is not None  # the machine goes on: the proofs are for its file
        if active:  # a copy from before: what came after it is not known here, but that it was done is
            now = self.settings.clock.now()
            store.change(connection, name, state=store.FULFILLED, reason=RESTORED, closed_at=now)
        gone = self.around.proofs.count(connection, subject)
        if gone or not self.around.proofs.is_destroyed(subject):
            self.around.proofs.destroy(connection, subject)
        return visitor is not None or bool(gone)

    @staticmethod
    def _is_newest(rows: list[store.StepRow]) -> bool:
        """Killed between the register and its mark: the step before it is done."""
        return any(row.step == "collect" and row.done for row in rows)
