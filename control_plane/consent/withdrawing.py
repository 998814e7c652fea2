"""A "no": by a person through a POP, one or many at once, by a browser's opt-out signal, or by an operator.

Each row of a batch is judged by itself, as the rows before it leave its visitor: a bad one is answered and blocks no
other. Rows are judged in memory and written together at the end, in a few statements: `batch.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import RowError, WithdrawalAnswer, WithdrawalRow
from control_plane.consent import records, sessions
from control_plane.consent.batch import Batch, Line
from control_plane.consent.changes import Taken, numbers_of, take
from control_plane.consent.judging import as_recorded, judge, reasons_of, taken_by_signal, within
from control_plane.consent.records import Record, Visitor
from control_plane.consent.versions import Change, Denial, Versions
from control_plane.log.log import Writing
from control_plane.policies.current import Circumstances, Policies, Policy


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """Takes categories back, inside a transaction of the caller."""

    policies: Policies
    versions: Versions
    clock: Clock

    def many(self, writing: Writing, lines: Sequence[Line]) -> tuple[WithdrawalAnswer, ...]:
        """What becomes of each row, in order. All visitors are locked first, in one order for everybody."""
        policy = self.policies.current(writing.connection)
        batch = Batch.of(writing.connection, lines, self.clock.now())
        answers = tuple(_answered(batch, policy, *of_row) for of_row in zip(lines, batch.owners, strict=True))
        batch.write(writing, self.versions, self.clock.now())
        return answers

    def one(self, writing: Writing, row: WithdrawalRow, sub: str | None) -> Record:
        """The record after one row. `sub`: who it must be, if that is known.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403).
        """
        batch = Batch.of(writing.connection, (row,), self.clock.now())
        (owner,) = batch.owners
        if owner is None:
            raise unknown()
        sessions.require_own(owner, sub)
        record = _counted(batch, self.policies.current(writing.connection), row, owner)
        written = batch.write(writing, self.versions, self.clock.now())
        return written[-1] if written else record

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
        (written,) = self.versions.write(writing, [_change(visitor, record, after, taken)])
        return written

    def by_operator(self, writing: Writing, visitor: Visitor, categories: Iterable[str], region: str) -> Record:
        """Withdraw on arrival: above every earlier number."""
        record = records.newest(writing.connection, visitor.sub)
        change = _taken(self.policies.current(writing.connection), visitor, record, categories, None, region)
        written = self.versions.write(writing, [change])
        return written[-1] if written else record


def unknown() -> Rejected:
    """The refusal of a session that is not there (any more)."""
    return Rejected("session-unknown", "never issued, or deleted", status=404)


def _answered(batch: Batch, policy: Policy, line: Line, sub: str | None) -> WithdrawalAnswer:
    if isinstance(line, RowError):
        return WithdrawalAnswer(line.key, code=line.code, message=line.message)
    if sub is None:
        error = unknown()
        return WithdrawalAnswer(line.key, code=error.code, message=error.message)
    record = _counted(batch, policy, line, sub)
    return WithdrawalAnswer(line.key, record.ver, numbers_of(record.words), batch.visitors[sub].subject)


def _counted(batch: Batch, policy: Policy, row: WithdrawalRow, sub: str) -> Record:
    """The record after a row; categories that a copy of it took before are not taken again."""
    done, record = batch.counted((sub, row.key)), batch.records[sub]
    named = tuple(c for c in row.categories or CATEGORIES if c not in done)
    if not named:
        return record
    change = _taken(policy, batch.visitors[sub], record, named, row.number, row.pop)
    batch.change(change, (sub, row.key), named)
    return change.record or record


def _taken(
    policy: Policy, visitor: Visitor, record: Record, named: Iterable[str], number: int | None, region: str
) -> Change:
    """What a no makes of a record. Where a later yes stays, only what is older than that goes."""
    taken = take(record.ver, record.words, named, number)
    after = None if taken.ver == record.ver else _after(policy, record, taken, "withdrawal", region)
    return _change(visitor, record, after, taken)


def _change(visitor: Visitor, before: Record, after: Record | None, taken: Taken) -> Change:
    return Change(visitor, before.words, after, Denial(taken.below, taken.said))


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
