"""Grant, refresh, withdraw and look: what can happen to a visitor's consent, one transaction each.

    grant     adds categories; begins the next session; an unknown session begins a new identity
    refresh   a new token, never wider than the record; an opt-out signal that the law honours is kept as a change
    withdraw  takes categories back; also by a session that was rotated away, also many rows at once
    look      the record in force

Each category taken back becomes an entry of the revocation log in the same transaction, so that no older token outlives
it anywhere. Which of two changes is later is decided by their numbers (`changes.py`), not by their arrival.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from consent_core.errors import Rejected
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, RefreshRequest
from consent_core.formats.withdrawals import WithdrawalAnswer, WithdrawalRow
from control_plane.consent import records, sessions
from control_plane.consent.answering import Answering
from control_plane.consent.auditing import noted
from control_plane.consent.batch import Line
from control_plane.consent.granting import Granting, stated
from control_plane.consent.proofs import Proofs
from control_plane.consent.records import Record
from control_plane.consent.sessions import Session
from control_plane.consent.withdrawing import Withdrawing
from control_plane.log.log import RevocationLog
from control_plane.policies.current import Circumstances, Policies


@dataclass(frozen=True, slots=True)
class Consents:
    """The consent records of one store."""

    log: RevocationLog
    policies: Policies
    granting: Granting
    withdrawing: Withdrawing
    answering: Answering
    proofs: Proofs

    def grant(self, request: ConsentRequest) -> ConsentAnswer:
        """Record what a person added, or was told.

        Raises: Rejected("session-rotated" | "session-reused" | "consent-recorded", 409), Rejected("clause-unknown").
        """
        try:
            with self.log.writing() as writing:
                record = self.granting.grant(writing, request)
                policy = self.policies.current(writing.connection)
                answer = self.answering.answer(policy, record, stated(request), request.pop, request.refused)
                return noted(record, replace(answer, proof=self._proof(writing.connection, request, record)))
        except IntegrityError as error:
            raise Rejected("session-reused", "next_session is taken", status=409) from error

    def refresh(self, sub: str | None, request: RefreshRequest) -> ConsentAnswer:
        """A new token for an unchanged record.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403), Rejected("session-rotated", 409).
        """
        with self.log.reading() as connection:
            session = self._session(connection, sub, request.session, request.legacy)
            record = records.newest(connection, session.sub)
            policy = self.policies.current(connection)
        here = Circumstances(request.jurisdiction, request.gpc, record.age_band)
        if not sessions.is_settled(session) or self.answering.is_changed_by_signal(policy, record, here):
            record = self._present(sub, request.session, request.legacy, here)
        return noted(record, self.answering.answer(policy, record, here, request.pop, request.refused))

    def look(self, sub: str | None, session: str) -> ConsentAnswer:
        """The record in force, without a token. Raises: as `refresh`."""
        with self.log.reading() as connection:
            found = self._session(connection, sub, session, None)
            record = records.newest(connection, found.sub)
        if not sessions.is_settled(found):
            record = self._present(sub, session, None, None)
        return noted(record, self.answering.state(record))

    def withdraw(self, sub: str | None, row: WithdrawalRow) -> ConsentAnswer:
        """Take categories back. The answer carries no token: its caller may hold a session that was rotated away.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403).
        """
        with self.log.writing() as writing:
            record = self.withdrawing.one(writing, row, sub)
            return noted(record, self.answering.state(record))

    def withdraw_many(self, lines: Sequence[Line]) -> tuple[WithdrawalAnswer, ...]:
        """Take back what each row says, in one transaction; what became of each."""
        with self.log.writing() as writing:
            return self.withdrawing.many(writing, lines)

    def _proof(self, connection: Connection, request: ConsentRequest, record: Record) -> str:
        """What the POP keeps, so that a store restored from a backup can record this yes again."""
        visitor = records.visitor(connection, record.sub)
        return self.proofs.issue(request, visitor, record, self.answering.clock.now())

    def _present(self, sub: str | None, grant: str, legacy: str | None, here: Circumstances | None) -> Record:
        """The record after its session was presented, and after this request's signal if there is one."""
        with self.log.writing() as writing:
            connection, now = writing.connection, self.answering.clock.now()
            session = sessions.require_current(sessions.find(connection, grant, legacy, now, lock=True), sub)
            sessions.present(connection, session, legacy, now)
            record = records.newest(connection, session.sub)
            if here is None or not here.gpc:
                return record
            return self.withdrawing.by_signal(writing, records.visitor(connection, session.sub), record, here)

    def _session(self, connection: Connection, sub: str | None, grant: str, legacy: str | None) -> Session:
        now = self.answering.clock.now()
        return sessions.require_current(sessions.find(connection, grant, legacy, now), sub)
