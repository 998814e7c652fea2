"""A "no": by a person through a POP, one or many at once, by a browser's opt-out signal, or by an operator.

A row names its visitor by the credential that only withdraws; else by what version 0.1.0 kept of a secret; else by
the subject that the POP vouches for. Each row is judged by itself: a bad one is answered and blocks no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import RowError, WithdrawalAnswer, WithdrawalRow
from control_plane.consent import counted, records, sessions
from control_plane.consent.changes import Taken, numbers_of, take
from control_plane.consent.judging import as_recorded, judge, reasons_of, taken_by_signal, within
from control_plane.consent.records import Record, Visitor
from control_plane.consent.versions import Denial, Versions
from control_plane.log.log import Writing
from control_plane.policies.current import Circumstances, Policies, Policy

Line = WithdrawalRow | RowError


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """Takes categories back, inside a transaction of the caller."""

    policies: Policies
    versions: Versions
    clock: Clock

    def many(self, writing: Writing, lines: Sequence[Line]) -> tuple[WithdrawalAnswer, ...]:
        """What becomes of each row, in order. All visitors are locked first, in one order for everybody."""
        policy = self.policies.current(writing.connection)
        owners = [self._owner(writing.connection, line) for line in lines]
        visitors = records.lock_visitors(writing.connection, {sub for sub in owners if sub is not None})
        return tuple(
            self._answered(writing, policy, line, sub if sub in visitors else None)
            for line, sub in zip(lines, owners, strict=True)
        )

    def one(self, writing: Writing, row: WithdrawalRow, sub: str | None) -> Record:
        """The record after one row. `sub`: who it must be, if that is known.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403).
        """
        owner = self._owner(writing.connection, row)
        if owner is None or not records.lock_visitors(writing.connection, {owner}):
            raise unknown()
        sessions.require_own(owner, sub)
        return self._counted(writing, self.policies.current(writing.connection), row, owner)

    def by_signal(
        self, writing: Writing, visitor: Visitor, record: Record, here: Circumstances, unless: Iterable[str] = ()
    ) -> Record:
        """Keep an opt-out signal as a change of the record: its absence later is no consent (11 CCR 7025(c)).

        `unless`: categories that the person chooses in this very request; policy says what becomes of those.
        """
        policy, chosen = self.policies.current(writing.connection), set(unless)
        named = tuple(c for c in taken_by_signal(policy, record, here) if c not in chosen)
        if not named:
            return record
        reasons = judge(policy, here, record.words, record.basis).reasons
        taken = take(record.ver, record.words, named, None, "signalled")
        after = _after(policy, record, taken, "gpc", record.region)
        after = replace(after, reasons={**after.reasons, **{c: reasons[c] for c in named}}, gpc=True, gpc_honoured=True)
        return self._store(writing, visitor, record, after, taken)

    def by_operator(self, writing: Writing, visitor: Visitor, categories: Iterable[str], region: str) -> Record:
        """Withdraw on arrival: above whatever was said before."""
        policy = self.policies.current(writing.connection)
        return self._take(writing, policy, visitor, categories, None, region)

    def _answered(self, writing: Writing, policy: Policy, line: Line, sub: str | None) -> WithdrawalAnswer:
        if isinstance(line, RowError):
            return WithdrawalAnswer(line.key, code=line.code, message=line.message)
        if sub is None:
            error = unknown()
            return WithdrawalAnswer(line.key, code=error.code, message=error.message)
        record = self._counted(writing, policy, line, sub)
        subject = records.subject_of(record.sub)
        return WithdrawalAnswer(line.key, record.ver, numbers_of(record.words), subject)

    def _counted(self, writing: Writing, policy: Policy, row: WithdrawalRow, sub: str) -> Record:
        """The record after a row; categories that a copy of it took before are not taken again."""
        connection, visitor = writing.connection, records.visitor(writing.connection, sub)
        done = counted.categories_of(connection, sub, counted.NO, row.key) or ()
        named = tuple(c for c in row.categories or CATEGORIES if c not in done)
        if not named:
            return records.newest(connection, sub)
        record = self._take(writing, policy, visitor, named, row.number, row.pop)
        counted.remember(connection, sub, counted.NO, row.key, named, self.clock.now())
        crash_point("consent.withdrawal-remembered")
        return record

    def _take(
        self, writing: Writing, policy: Policy, visitor: Visitor, named: Iterable[str], number: int | None, region: str
    ) -> Record:
        record = records.newest(writing.connection, visitor.sub)
        taken = take(record.ver, record.words, named, number)
        if taken.ver == record.ver:  # a later yes stays; only what is older than it goes
            self.versions.deny(writing, visitor, record.words, Denial(taken.below, taken.said))
            return record
        after = _after(policy, record, taken, "withdrawal", region)
        return self._store(writing, visitor, record, after, taken)

    def _store(self, writing: Writing, visitor: Visitor, before: Record, after: Record, taken: Taken) -> Record:
        return self.versions.store(writing, visitor, after, before.words, Denial(taken.below, taken.said))

    def _owner(self, connection: Connection, line: Line) -> str | None:
        if isinstance(line, RowError):
            return None
        now = self.clock.now()
        owner = sessions.owner_of(connection, line.withdraw, line.session_legacy, now)
        if owner is None and line.subject is not None:
            owner = records.sub_of(connection, line.subject, now)
        return owner


def unknown() -> Rejected:
    """The refusal of a session that is not there (any more)."""
    return Rejected("session-unknown", "never issued, or deleted", status=404)


def _after(policy: Policy, record: Record, taken: Taken, source: str, region: str) -> Record:
    """The version that a no makes of this one."""
    decided = judge(policy, as_recorded(record), taken.words, record.basis)
    categories = within(decided.categories, record.categories)
    changed = replace(
        record,
        ver=taken.ver,
        source=source,
        categories=categories,
        words=taken.words,
        region=region,
        policy_hash=policy.hash,
        revoked=bool(taken.lost),
    )
    return replace(changed, reasons=reasons_of(changed, decided, categories))
