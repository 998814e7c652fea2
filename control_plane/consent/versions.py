"""Writes versions of records: their receipts, the entries that enforce what they take back, and the work they cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from consent_core.clock import Clock
from consent_core.crash import crash_point
from control_plane.consent import records
from control_plane.consent.changes import Words
from control_plane.consent.receipts import Receipts
from control_plane.consent.records import Record, Visitor
from control_plane.log.log import Draft, Writing
from control_plane.queue import RETRAIN, put


@dataclass(frozen=True, slots=True)
class Denial:
    """What tokens lose: categories by the version they lose them below, and the number of the no."""

    below: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    said: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one visitor. `visitor`: as it is before; `before`: the words of the version in force then.

    `record`: the next version; None where a no takes only what is older than a later yes.
    """

    visitor: Visitor
    before: Words
    record: Record | None
    denial: Denial


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one store."""

    receipts: Receipts
    clock: Clock

    def write(self, writing: Writing, changes: Sequence[Change]) -> tuple[Record, ...]:
        """Write changes in their order; the versions that they made, with their receipts."""
        writing.leaves.expect([change.visitor.subject for change in changes])
        made = [(change.visitor, self._issued(change.visitor, change.record)) for change in changes if change.record]
        records.store(writing.connection, made)
        writing.leaves.receipts(writing.connection, [(record.receipt, visitor.subject) for visitor, record in made])
        crash_point("consent.record-stored")
        _deny(writing, changes)
        return tuple(record for _, record in made)

    def store(self, writing: Writing, visitor: Visitor, record: Record, before: Words, denial: Denial) -> Record:
        """Add one version, as `write` does."""
        (written,) = self.write(writing, [Change(visitor, before, record, denial)])
        return written

    def deny(self, writing: Writing, visitor: Visitor, before: Words, denial: Denial) -> None:
        """The entries of one no without a version, as `write` makes them."""
        _deny(writing, [Change(visitor, before, None, denial)])

    def _issued(self, visitor: Visitor, record: Record) -> Record:
        record = replace(record, at=self.clock.now())
        return replace(record, receipt=self.receipts.issue(visitor, record))


def _deny(writing: Writing, changes: Sequence[Change]) -> None:
    """The entries of each no, and a retraining where behaviour may have been learnt from."""
    bounds = [(change, bound) for change in changes for bound in change.denial.below]
    entries = writing.append_all([_draft(change, bound) for change, bound in bounds])
    learnt = [
        entry
        for (change, _), entry in zip(bounds, entries, strict=True)
        if "behavioral" in entry.categories and change.before["behavioral"].state != "not-given"
    ]
    jobs = {f"{entry.seq}": {"subject": entry.subject, "seq": entry.seq} for entry in learnt}
    put(writing.connection, RETRAIN, jobs, entries[-1].at if entries else 0)


def _draft(change: Change, bound: int) -> Draft:
    denial = change.denial
    return Draft("session", change.visitor.subject, denial.below[bound], bound, denial.said)
