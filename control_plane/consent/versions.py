"""Writes a version of a record: its receipt, the entries that enforce what it takes back, and the work they cause."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from consent_core.clock import Clock
from consent_core.crash import crash_point
from control_plane.consent import records
from control_plane.consent.changes import Words
from control_plane.consent.receipts import Receipts
from control_plane.consent.records import Record, Visitor
from control_plane.log.log import Writing
from control_plane.queue import RETRAIN, put


@dataclass(frozen=True, slots=True)
class Denial:
    """What tokens lose: categories by the version they lose them below, and the number of the no."""

    below: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    said: int = 0


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one store."""

    receipts: Receipts
    clock: Clock

    def store(self, writing: Writing, visitor: Visitor, record: Record, before: Words, denial: Denial) -> Record:
        """Add the next version. `visitor`: as it is without it; `before`: the words of the version it follows."""
        record = replace(record, at=self.clock.now())
        record = replace(record, receipt=self.receipts.issue(visitor, record))
        records.store(writing.connection, visitor, record)
        writing.leaves.receipt(writing.connection, record.receipt, visitor.subject)
        crash_point("consent.record-stored")
        self.deny(writing, visitor, before, denial)
        return record

    def deny(self, writing: Writing, visitor: Visitor, before: Words, denial: Denial) -> None:
        """The entries of a no, and a retraining where behaviour may have been learnt from."""
        for bound, categories in denial.below.items():
            entry = writing.append("session", visitor.subject, categories, bound, denial.said)
            if "behavioral" in categories and before["behavioral"].state != "not-given":
                body = {"subject": visitor.subject, "seq": entry.seq}
                put(writing.connection, RETRAIN, f"{entry.seq}", body, entry.at)
