"""From the consent database's outbox into the ledger's own database.

    copying.new()          # often: what was added since; durable in the ledger's database when it returns
    copying.all()          # once a beat: every row that is there, in any order of commits
    copying.forget(size)   # after publishing: rows whose leaf is in the published tree go

Rows are copied again after a crash and count once. They go only once a cosigned checkpoint holds their leaf: a ledger
that loses its unpublished end, or is restored, finds them still here. The newest row stays: its number shows when the
consent database was set back (`store-rewound`).
"""

from dataclasses import dataclass, field

from sqlalchemy import Row, delete, func, select

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.leaf import read_leaf
from control_plane.ledger.store import LedgerStore, NewLeaf
from control_plane.store.database import Database
from control_plane.store.schema import ledger_outbox

MOST = 10_000  # rows of one transaction
GONE = 500  # rows deleted by one statement

_COLUMNS = (ledger_outbox.c.id, ledger_outbox.c.leaf, ledger_outbox.c.body, ledger_outbox.c.salt)
_NEWEST = select(func.max(ledger_outbox.c.id))


@dataclass(slots=True)
class Copying:
    """One outbox. `_through`: the highest number copied by this process."""

    database: Database
    store: LedgerStore
    clock: Clock
    _through: int = field(default=0)

    def new(self) -> int:
        """Copy what was added since the last time; how many rows."""
        copied = 0
        while rows := self._rows(self._through):
            self._put(rows)
            copied += len(rows)
        return copied

    def all(self) -> None:
        """Copy every row: on PostgreSQL a lower number may be committed after a higher one."""
        self._look_for_rewind()
        self._through = 0
        self.new()

    def forget(self, size: int) -> None:
        """Delete rows whose leaf has a place below `size`, all but the newest."""
        while self._forget_some(size):
            pass

    def _forget_some(self, size: int) -> int:
        keys = {row.id: read_leaf(row.leaf).commitment for row in self._rows(0)}
        placed = self.store.placed_below(list(keys.values()), size)
        return self._delete([number for number, key in keys.items() if key in placed])

    def _rows(self, after: int) -> list[Row[int, bytes, bytes | None, bytes | None]]:
        asked = select(*_COLUMNS).where(ledger_outbox.c.id > after).order_by(ledger_outbox.c.id).limit(MOST)
        with self.database.read() as connection:
            return list(connection.execute(asked))

    def _put(self, rows: list[Row[int, bytes, bytes | None, bytes | None]]) -> None:
        leaves = [NewLeaf(row.leaf, row.body, row.salt) for row in rows]
        self.store.put(leaves, self.clock.now(), outbox=rows[-1].id)
        crash_point("ledger-copied")
        self._through = rows[-1].id

    def _delete(self, numbers: list[int]) -> int:
        """How many of them went; the newest row of all stays."""
        deleted = 0
        for at in range(0, len(numbers), GONE):
            with self.database.write() as connection:
                newest = connection.scalar(_NEWEST) or 0
                part = [number for number in numbers[at : at + GONE] if number < newest]
                deleted += connection.execute(delete(ledger_outbox).where(ledger_outbox.c.id.in_(part))).rowcount
            crash_point("ledger-forgotten")
        return deleted

    def _look_for_rewind(self) -> None:
        known = self.store.head().outbox
        with self.database.read() as connection:
            newest = connection.scalar(_NEWEST) or 0
        if newest < known:
            detail = f"the outbox is at {newest}, it was at {known}"
            self.store.findings.add("store-rewound", detail, self.clock.now())
            self.store.set_outbox(newest)
