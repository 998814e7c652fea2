"""What the control plane signed for this POP, byte for byte, so that one restored from a backup learns what it lacks.

    store.raw.keep(ANSWER, reply.body)          # every signed answer that carried entries
    store.raw.keep(GRANT, proof)                # every signed grant receipt
    for row in store.raw.after(0, 100): ...

Withdrawals that were forwarded stay in the `outbox` for the same time. These bytes name people (by the hash of a
pseudonym) and cannot be cut without losing their signature: an erasure lists them with the day on which they go.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.formats.kept import ANSWER as ANSWER
from consent_core.formats.kept import GRANT as GRANT
from consent_core.formats.withdrawals import WithdrawalRow, write_rows
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import DAY_S

RAW_KEPT_S = 15 * DAY_S  # a day more than the log keeps session entries: no backup in use is older


@dataclass(frozen=True, slots=True)
class RawRow:
    """One kept text. `at`: Unix seconds when it came; it goes `RAW_KEPT_S` later."""

    id: int
    kind: str
    body: bytes
    at: int


class Raw:
    """The `raw` table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def keep(self, kind: str, body: bytes) -> None:
        """Keep one text durably; in a transaction that is open, together with it. Raises: Unavailable("store-io")."""
        with self._db.transaction():
            self._db.run("INSERT INTO raw (kind, body, at) VALUES (?,?,?)", (kind, body, self._clock.now()))

    def after(self, last: int, limit: int = 100) -> tuple[RawRow, ...]:
        """What was kept after the row `last`, oldest first."""
        rows = self._db.rows("SELECT id, kind, body, at FROM raw WHERE id>? ORDER BY id LIMIT ?", (last, limit))
        return tuple(RawRow(id_, kind, bytes(body), at) for id_, kind, body, at in rows)

    def withdrawals(self, pop: str) -> Iterator[bytes]:
        """Every "no" that the outbox holds, also those that were forwarded, each as the control plane takes it."""
        for key, withdraw, session, subject, number, categories, at in self._db.rows(
            "SELECT key, withdraw, session, subject, number, categories, at FROM outbox ORDER BY id"
        ):
            names = json.loads(categories)
            legacy = session if withdraw is None else None
            row = WithdrawalRow(key, withdraw, legacy, subject, number, names and tuple(names), pop, at)
            yield write_rows([row])

    def sweep(self) -> int:
        """Delete what ran out."""
        with self._db.transaction(durable=False):
            return self._db.run("DELETE FROM raw WHERE at<=?", (self._clock.now() - RAW_KEPT_S,))
