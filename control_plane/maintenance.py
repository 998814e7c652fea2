"""What runs out is deleted: consent records past their retention or never claimed, log entries that no POP can need."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, exists

from consent_core.clock import Clock
from control_plane.log.log import RevocationLog
from control_plane.queue import sweep as sweep_queue
from control_plane.store.database import Database
from control_plane.store.schema import sessions, visitors

UNCLAIMED_S = 86_400  # a record whose session was not presented by then has no owner


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went."""

    visitors: int
    entries: int


def sweep(database: Database, log: RevocationLog, clock: Clock, held: Collection[str] = ()) -> Swept:
    """Delete what ran out. A visitor goes with all records, sessions and counted clicks; of those `held`, nothing."""
    now = clock.now()
    mine = exists().where(sessions.c.sub == visitors.c.sub)
    claimed = mine.where(sessions.c.presented_at.is_not(None) | (sessions.c.at > now - UNCLAIMED_S))
    over = ((visitors.c.retain_until <= now) | ~claimed) & visitors.c.subject.not_in(held)
    with database.write() as connection:
        gone = connection.execute(delete(visitors).where(over)).rowcount
        sweep_queue(connection, now)
    return Swept(gone, log.prune())
