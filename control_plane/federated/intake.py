"""Takes one update in, or refuses it with one code; what is refused changes nothing.

    verdict = intake.take(SpiffeId.of("ui-tools", "edge", "tokyo-1"), SvidKey.of(certificate), body)

| the same place and week again | then |
|---|---|
| the same manifest, signed once more | the first answer |
| another manifest | kept as evidence, its spend counts too, 409: refusing does not unsee it |

Everything else that is refused leaves one line in the log, one record in the audit trail and a count, nothing more.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.update import Received, read_update
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_key import SvidKey
from control_plane.federated import budget
from control_plane.federated.judging import require_norm, require_own, require_round, require_time
from control_plane.federated.log import VerdictLog
from control_plane.federated.rounds import Round, find
from control_plane.store.database import Database, lock_name
from control_plane.store.learning_schema import learning_updates

CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a place is told: its update's digest and week."""

    update: str
    week: str

    def to_json(self) -> dict[str, str]:
        """The answer's members."""
        return {"update": self.update, "week": self.week, "verdict": "accepted"}


@dataclass(frozen=True, slots=True)
class Intake:
    """The intake of one deployment."""

    database: Database
    clock: Clock
    log: VerdictLog

    def take(self, caller: SpiffeId, key: SvidKey, body: bytes) -> Verdict:
        """Raises: Rejected or Untrusted with a code of docs/formats/update.md."""
        told = {"update": sha256_digest(body), "spiffe_id": str(caller)}
        try:
            received = read_update(body)
            told |= {"update": received.digest, "week": received.update.week}
            self._judge(caller, key, received, body)
        except ConsentEdgeError as refusal:
            self.log.write(caller.name, self.clock.now(), **told, verdict="refused", code=refusal.code)
            raise
        self.log.write(caller.name, self.clock.now(), **told, verdict="accepted")
        return Verdict(received.digest, received.update.week)

    def _judge(self, caller: SpiffeId, key: SvidKey, received: Received, body: bytes) -> None:
        received.require_signed(key, self.clock.now())
        require_own(received.update, caller)
        with self.database.write() as connection:
            lock_name(connection, f"learning/{caller.name}")
            conflict = self._take(connection, key, received, body)
        if conflict:  # only now: what a conflict spends must outlive its refusal
            raise Rejected("update-conflict", "that week was sent with other words", status=409)

    def _take(self, connection: Connection, key: SvidKey, received: Received, body: bytes) -> bool:
        """Keep it; whether it contradicts one that was taken."""
        update, row = received.update, Row(received, body, key.key, self.clock.now())
        taken, found = _accepted(connection, update.pop, update.week), find(connection, update.week)
        if taken == received.digest:
            return False
        if taken is not None:
            assert found is not None
            _keep_conflict(connection, row, found)
            return True
        require_time(update.week, self.clock.now())
        round_ = require_round(received, found)
        require_norm(received, round_)
        lines = budget.judged(
            budget.lines_of(connection, update.pop), update.ledger, update.week, round_.terms.mechanism
        )
        row.insert(connection, "accepted")
        crash_point("update-archived")
        budget.keep(connection, update.pop, lines)
        crash_point("update-stored")
        return False


@dataclass(frozen=True, slots=True)
class Row:
    """An update on its way into the store."""

    received: Received
    body: bytes
    key: bytes
    at: int

    def insert(self, connection: Connection, verdict: str) -> None:
        """Archive it."""
        update = self.received.update
        row = {"digest": self.received.digest, "pop": update.pop, "week": update.week, "verdict": verdict}
        connection.execute(insert(learning_updates).values(**row, body=self.body, key=self.key, at=self.at))


def _accepted(connection: Connection, pop: str, week: str) -> str | None:
    table = learning_updates.c
    mine = (table.pop == pop) & (table.week == week) & (table.verdict == "accepted")
    return connection.scalar(select(table.digest).where(mine))


def _keep_conflict(connection: Connection, row: Row, found: Round) -> None:
    """A second story counts once, however often it is sent."""
    known = select(learning_updates.c.digest).where(learning_updates.c.digest == row.received.digest)
    if connection.scalar(known) is None:
        row.insert(connection, CONFLICT)
        budget.charge_conflict(connection, row.received.update.pop, row.received.update.week, found.terms.mechanism)
