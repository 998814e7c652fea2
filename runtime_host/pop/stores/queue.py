"""Durable work for somebody else: rows that stay until their consumer says done.

    queue.put("retrain", key=f"{subject}:{ver}", body={"subject": subject, "days": ["2027-01-15"]})
    for row in queue.pending("retrain"): …; queue.done(row)

`key` makes a row unique within its topic for as long as it is kept: putting it twice leaves one.
Topics: `retrain` (federated training), `purge-receipt` (status reports). Nothing trains on these rows yet, so nothing
consumes `retrain`: such a row goes when its visitor is purged, and after a month.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.clock import Clock
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import DAY_S

DONE_KEPT_S = 30 * DAY_S  # a restored backup asks again within this time
UNREAD_KEPT_S = {"retrain": 30 * DAY_S}  # by topic: a row that no job consumed by then is not needed


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work. `at`: Unix seconds when it was put."""

    id: int
    topic: str
    key: str
    body: Mapping[str, Any]
    at: int


class Queue:
    """The `queue` table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def put(self, topic: str, key: str, body: Mapping[str, Any]) -> None:
        """Add work once."""
        with self._db.transaction():
            self._db.run(
                "INSERT OR IGNORE INTO queue (topic, key, body, at) VALUES (?,?,?,?)",
                (topic, key, json.dumps(body, sort_keys=True), self._clock.now()),
            )

    def pending(self, topic: str, limit: int = 100) -> tuple[Row, ...]:
        """Work that is not done, oldest first."""
        rows = self._db.rows(
            "SELECT id, topic, key, body, at FROM queue WHERE topic=? AND done_at IS NULL ORDER BY id LIMIT ?",
            (topic, limit),
        )
        return tuple(Row(id_, topic_, key, json.loads(body), at) for id_, topic_, key, body, at in rows)

    def done(self, rows: Iterable[Row]) -> None:
        """Mark work as finished."""
        with self._db.transaction():
            for row in rows:
                self._db.run("UPDATE queue SET done_at=? WHERE id=?", (self._clock.now(), row.id))

    def sweep(self) -> int:
        """Delete finished rows after a month, and those of a topic that no job reads."""
        now = self._clock.now()
        with self._db.transaction(durable=False):
            unread = sum(
                self._db.run("DELETE FROM queue WHERE topic=? AND at<=?", (topic, now - kept_s))
                for topic, kept_s in UNREAD_KEPT_S.items()
            )
            return unread + self._db.run("DELETE FROM queue WHERE done_at<=?", (now - DONE_KEPT_S,))
