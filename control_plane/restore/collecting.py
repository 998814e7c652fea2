"""Takes what POPs kept. Under a restore it waits for the last one; afterwards a latecomer's entries are taken over.

A line is kept by its digest, so a delivery that broke off may begin anew. `_completing` is held by the thread that
carries the restore out.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, select, update

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.kept import END, Kept
from control_plane.log import standing
from control_plane.restore.beginning import waited_for
from control_plane.store.database import Database
from control_plane.store.schema import restore_material, restore_pops

Complete = Callable[[], None]  # carries the restore out, in its own transaction
Latecomer = Callable[[Sequence[Kept]], None]  # takes over what a POP brings after the restore


class Collecting:
    """The deliveries to one store."""

    def __init__(self, database: Database, clock: Clock, complete: Complete, latecomer: Latecomer) -> None:
        self._database = database
        self._clock = clock
        self._complete = complete
        self._latecomer = latecomer
        self._completing = threading.Lock()

    def take(self, pop: str, lines: Sequence[Kept]) -> None:
        """Keep a page of one POP's delivery; with the last page of the last POP, carry the restore out."""
        with self._database.write() as connection:
            collecting = standing.standing_of(connection) == standing.COLLECTING
            if collecting:
                _keep(connection, pop, lines)
                _note_end(connection, pop, lines, self._clock.now())
        crash_point("restore.page-kept")
        if collecting:
            self.complete()
        else:
            self._latecomer(lines)

    def complete(self) -> bool:
        """Carry the restore out if no POP is waited for; whether the log may be believed now."""
        with self._completing:
            with self._database.read() as connection:
                if standing.standing_of(connection) != standing.COLLECTING:
                    return True
                waiting = waited_for(connection)
            if waiting:
                return False
            self._complete()
            return True


def _keep(connection: Connection, pop: str, lines: Sequence[Kept]) -> None:
    for kept in lines:
        digest = hashlib.sha256(kept.kind.encode() + b"\0" + kept.body).hexdigest()
        known = connection.scalar(select(restore_material.c.id).where(restore_material.c.digest == digest))
        if kept.kind != END and known is None:
            values = {"digest": digest, "pop": pop, "kind": kept.kind, "body": kept.body}
            connection.execute(insert(restore_material).values(values))


def _note_end(connection: Connection, pop: str, lines: Sequence[Kept], now: int) -> None:
    """A POP that was not expected delivers too: it joined after the backup."""
    if any(kept.kind == END for kept in lines):
        known = connection.scalar(select(restore_pops.c.pop).where(restore_pops.c.pop == pop))
        if known is None:
            connection.execute(insert(restore_pops).values(pop=pop, delivered_at=now))
        connection.execute(update(restore_pops).where(restore_pops.c.pop == pop).values(delivered_at=now))
