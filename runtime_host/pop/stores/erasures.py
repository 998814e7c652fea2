"""What is left of visitors whom the log purged: a row per part, written by the transaction that applies the purge.

    erasures.begin(entry.seq, entry.subject, ("trail.tokyo-1", "memory.tokyo-1"))   # inside that transaction
    for owed in erasures.owed(): …; erasures.counted(owed)                 # deleted, then counted empty

A part of `pop.db` is deleted at once, by SQL, and counted like any other. A part with an end date cannot be cut; it
goes by itself. Trust: a process that deletes a row here lets a receipt out that is not true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.formats.days import day_of
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.raw import RAW_KEPT_S
from runtime_host.pop.stores.tombstones import KEPT_S

ENDS_S: Mapping[str, int] = {"log_answers": RAW_KEPT_S, "denials": RAW_KEPT_S, "tombstone": KEPT_S}
RECEIPT = "purge-receipt"  # the topic of the queue that tells the control plane

# part -> how its rows are found; ?1 is the subject
_ROWS: Mapping[str, str] = {
    "history": "history WHERE subject=?1",
    "outbox": "outbox WHERE subject=?1 OR visitor=?1 OR session IN (SELECT session FROM sessions WHERE subject=?1)",
    "sessions": "sessions WHERE subject=?1",
    "queue": f"queue WHERE topic<>'{RECEIPT}' AND json_extract(body, '$.subject')=?1",
}
PARTS = tuple(_ROWS)  # of this file, in the order in which they go: sessions lead to rows of the outbox


@dataclass(frozen=True, slots=True)
class Owed:
    """One part of one visitor that was not counted to be empty yet. `seq`: the log's purge entry."""

    seq: int
    subject: str
    part: str


@dataclass(frozen=True, slots=True)
class Erased:
    """One visitor of whom every part was counted empty. `ends`: UTC date by part that cannot be cut."""

    seq: int
    subject: str
    deleted: Mapping[str, int]
    ends: Mapping[str, str]


class Erasures:
    """The `erasures` table, and the rows elsewhere in `pop.db` that its parts name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def begin(self, seq: int, subject: str, beside: Iterable[str]) -> None:
        """Delete what this file holds of a visitor; owe a count of that, and of the parts `beside` it."""
        now = self._clock.now()
        for part in PARTS:
            self._put(seq, subject, part, self._delete(part, subject), None)
        for part in beside:
            self._put(seq, subject, part, 0, None)
        for part, kept_s in ENDS_S.items():
            self._put(seq, subject, part, 0, now + kept_s)

    def owed(self) -> tuple[Owed, ...]:
        """Parts that were not counted to be empty, the oldest purge first."""
        rows = self._db.rows(
            "SELECT seq, subject, part FROM erasures WHERE counted_at IS NULL AND ends_at IS NULL ORDER BY seq"
        )
        return tuple(Owed(*row) for row in rows)

    def delete(self, part: str, subject: str) -> int:
        """Delete the rows of one part of this file; how many there were."""
        with self._db.transaction():
            return self._delete(part, subject)

    def left(self, part: str, subject: str) -> int:
        """How many rows of one part of this file there are; one more while the journal may hold deleted ones."""
        row = self._db.row(f"SELECT COUNT(*) FROM {_ROWS[part]}", (subject,))  # noqa: S608 - constants
        assert row is not None
        return int(row[0]) + (not self._db.checkpoint())

    def deleted(self, owed: Owed, count: int) -> None:
        """Note that so many more of a part were deleted."""
        with self._db.transaction():
            self._db.run("UPDATE erasures SET deleted=deleted+? WHERE seq=? AND part=?", (count, owed.seq, owed.part))

    def counted(self, owed: Owed) -> None:
        """Note that nothing of a part is left."""
        with self._db.transaction():
            self._db.run(
                "UPDATE erasures SET counted_at=? WHERE seq=? AND part=?", (self._clock.now(), owed.seq, owed.part)
            )

    def complete(self) -> tuple[Erased, ...]:
        """Visitors of whom nothing is owed and no receipt was made."""
        rows = self._db.rows(
            "SELECT DISTINCT seq, subject FROM erasures e WHERE NOT EXISTS (SELECT 1 FROM erasures WHERE seq=e.seq"
            " AND counted_at IS NULL AND ends_at IS NULL)"
            " AND NOT EXISTS (SELECT 1 FROM queue WHERE topic=? AND key=CAST(e.seq AS TEXT)) ORDER BY seq",
            (RECEIPT,),
        )
        return tuple(self._erased(seq, subject) for seq, subject in rows)

    def delivered(self, seq: int) -> None:
        """The receipt was taken: its visitor leaves the queue and this table, inside a transaction."""
        self._db.run("DELETE FROM queue WHERE topic=? AND key=?", (RECEIPT, str(seq)))
        self._db.run("DELETE FROM erasures WHERE seq=?", (seq,))

    def _erased(self, seq: int, subject: str) -> Erased:
        rows = self._db.rows("SELECT part, deleted, ends_at FROM erasures WHERE seq=? ORDER BY part", (seq,))
        deleted = {part: count for part, count, ends_at in rows if ends_at is None}
        ends = {part: day_of(ends_at) for part, _, ends_at in rows if ends_at is not None}
        return Erased(seq, subject, deleted, ends)

    def _delete(self, part: str, subject: str) -> int:
        return self._db.run(f"DELETE FROM {_ROWS[part]}", (subject,))  # noqa: S608 - constants

    def _put(self, seq: int, subject: str, part: str, deleted: int, ends_at: int | None) -> None:
        self._db.run(
            "INSERT INTO erasures VALUES (?,?,?,?,NULL,?)"
            " ON CONFLICT DO UPDATE SET deleted=deleted+excluded.deleted, counted_at=NULL",
            (seq, subject, part, deleted, ends_at),
        )
