"""Erasure at the control plane: what a purge deletes here is counted again before anybody is told that it is gone.

    counts = erasing.delete(connection, visitor, subject)     # in the transaction that appends the entry
    erasing.begin(connection, entry, counts)
    erasing.step()                                            # after it, at start, and in the maintenance loop
    erasing.report(seq)                                       # None while something is owed

The parts are those of `pop.db`'s machine, for this store: rows by table, the audit trail, and the log's own entries
about the person, which cannot be cut and have an end date. This process keeps no visitor in memory between two
requests.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from consent_core.audit.writer import Head
from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.days import day_of
from consent_core.formats.revocation import Entry
from control_plane.consent.records import Visitor
from control_plane.log.log import ROWS_GONE_S
from control_plane.queue import count, forget
from control_plane.store.database import Database
from control_plane.store.schema import changes, erasures, log, purge_receipts, records, sessions, visitors

# part -> the table whose rows of a visitor it is; the receipts lie in the records
TABLES: Mapping[str, Table] = {"records": records, "receipts": records, "sessions": sessions, "withdrawals": changes}


class Trail(Protocol):
    """The audit trail of this process."""

    def shred(self, subject: str) -> int:
        """Delete a visitor's keys; how many there were."""
        ...

    def keys_left(self, subject: str) -> int:
        """How many there are."""
        ...

    def head(self) -> Head:
        """Where it ends."""
        ...


@dataclass(slots=True)
class Erasing:
    """The purges of one store.

    `trails`: by name, of this process; put there before it serves. `writers`: names of every control plane's trail.
    """

    database: Database
    clock: Clock
    trails: dict[str, Trail] = field(default_factory=dict)
    writers: Callable[[], Collection[str]] = tuple

    def delete(self, connection: Connection, visitor: Visitor | None, subject: str) -> dict[str, int]:
        """Delete what the store holds of a visitor; how much there was, by part."""
        rows = {part: 0 if visitor is None else _rows(connection, table, visitor) for part, table in TABLES.items()}
        if visitor is not None:
            connection.execute(delete(visitors).where(visitors.c.sub == visitor.sub))
        return {**rows, "queue": forget(connection, subject), "purge_receipts": 0}

    def begin(self, connection: Connection, entry: Entry, deleted: Mapping[str, int]) -> None:
        """Owe a count of every part, in the transaction that appends the entry."""
        parts = {**deleted, **dict.fromkeys(self._beside(), 0)}
        rows = [{"seq": entry.seq, "part": part, "deleted": count, "ends_at": None} for part, count in parts.items()]
        ends = {"seq": entry.seq, "part": "log", "deleted": 0, "ends_at": entry.at + ROWS_GONE_S}
        connection.execute(insert(erasures), [*rows, ends])

    def resume(self, connection: Connection, entry: Entry) -> None:
        """A purge is asked for again: one of an earlier version, which owed nothing, is counted now."""
        if connection.scalar(select(func.count()).select_from(erasures).where(erasures.c.seq == entry.seq)) == 0:
            self.begin(connection, entry, self.delete(connection, None, entry.subject))

    def step(self) -> None:
        """Count every part that is owed. Raises: Unavailable for one that fails; it stays owed."""
        for seq, part, subject in self._owed():
            deleted = self._delete(part, subject)
            crash_point("erase.part-deleted")
            if self._left(part, subject):
                continue
            mine = (erasures.c.seq == seq) & (erasures.c.part == part)
            counted = {"counted_at": self.clock.now(), "deleted": erasures.c.deleted + deleted}
            with self.database.write() as connection:
                connection.execute(update(erasures).where(mine).values(counted))
            crash_point("erase.part-counted")

    def report(self, seq: int) -> dict[str, Any] | None:
        """What the control plane says of one purge, as POPs do; None while a part is owed, or of an older purge."""
        with self.database.read() as connection:
            rows = connection.execute(select(erasures).where(erasures.c.seq == seq)).all()
        counted = [row for row in rows if row.ends_at is None]
        if not counted or any(row.counted_at is None for row in counted):
            return None
        ends = {row.part: day_of(row.ends_at) for row in rows if row.ends_at is not None}
        deleted = {row.part: row.deleted for row in counted}
        return {"at": max(row.counted_at for row in counted), "deleted": deleted, "ends": ends}

    def _beside(self) -> tuple[str, ...]:
        return tuple(f"trail.{name}" for name in sorted({*self.trails, *self.writers()}))

    def _owed(self) -> list[tuple[int, str, str]]:
        owed = (
            select(erasures.c.seq, erasures.c.part, log.c.subject)
            .join(log, log.c.seq == erasures.c.seq)
            .where(erasures.c.counted_at.is_(None), erasures.c.ends_at.is_(None))
            .order_by(erasures.c.seq)
        )
        with self.database.read() as connection:
            found = [(row.seq, row.part, row.subject) for row in connection.execute(owed)]
        return [(seq, part, subject) for seq, part, subject in found if self._is_mine(part)]

    def _is_mine(self, part: str) -> bool:
        """A trail of another control plane on this store is that one's to shred."""
        return not part.startswith("trail.") or part.removeprefix("trail.") in self.trails

    def _delete(self, part: str, subject: str) -> int:
        return self.trails[part.removeprefix("trail.")].shred(subject) if part.startswith("trail.") else 0

    def _left(self, part: str, subject: str) -> int:
        if part.startswith("trail."):
            return self.trails[part.removeprefix("trail.")].keys_left(subject)
        with self.database.read() as connection:
            left = _left(connection, part, subject)
        return left + (not self.database.checkpoint())


def _rows(connection: Connection, table: Table, visitor: Visitor) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(table.c.sub == visitor.sub)) or 0)


def _left(connection: Connection, part: str, subject: str) -> int:
    """How many rows of one part there are."""
    if part == "queue":
        return count(connection, subject)
    if part == "purge_receipts":
        rows = select(func.count()).select_from(purge_receipts).where(purge_receipts.c.subject == subject)
    else:
        mine = TABLES[part].join(visitors, visitors.c.sub == TABLES[part].c.sub)
        rows = select(func.count()).select_from(mine).where(visitors.c.subject == subject)
    return int(connection.scalar(rows) or 0)
