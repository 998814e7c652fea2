"""Visitors who were erased: no row about them may be written again.

A tombstone names only the hash of a pseudonym that will never be issued again. It outlives every token and every
row of the visitor (also those of a restored backup), then goes too.
"""

from consent_core.clock import Clock
from consent_core.formats.consent import RETENTION_S
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import DAY_S

KEPT_S = max(RETENTION_S.values()) + DAY_S


class Tombstones:
    """The `tombstones` table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def add(self, subject: str, seq: int | None) -> None:
        """Put one up, inside the transaction that deletes. `seq`: the log entry that asks for it."""
        self._db.run(
            "INSERT INTO tombstones VALUES (?,?,?) ON CONFLICT DO UPDATE SET at=excluded.at, seq=excluded.seq",
            (subject, self._clock.now(), seq),
        )

    def holds(self, subject: str) -> bool:
        """Whether this visitor was erased."""
        return self._db.row("SELECT 1 FROM tombstones WHERE subject=?", (subject,)) is not None

    def all(self) -> tuple[str, ...]:
        """Every erased subject."""
        return tuple(subject for (subject,) in self._db.rows("SELECT subject FROM tombstones"))

    def sweep(self) -> int:
        """Take down those that nothing can refer to any more."""
        with self._db.transaction(durable=False):
            return self._db.run("DELETE FROM tombstones WHERE at<=?", (self._clock.now() - KEPT_S,))
