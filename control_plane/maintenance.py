"""What runs out is deleted: consent records past their retention, log entries that nobody can need."""

from dataclasses import dataclass

from sqlalchemy import delete

from consent_core.clock import Clock
from control_plane.log.log import RevocationLog
from control_plane.store.database import Database
from control_plane.store.schema import visitors


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went."""

    visitors: int
    entries: int


def sweep(database: Database, log: RevocationLog, clock: Clock) -> Swept:
    """Delete what ran out. A visitor goes with all records, sessions and idempotency keys."""
    with database.write() as connection:
        gone = connection.execute(delete(visitors).where(visitors.c.retain_until <= clock.now())).rowcount
    return Swept(gone, log.prune())
