"""Withdrawals said at this POP, kept until the control plane has them.

A withdrawal is on disk, and in force here, before the visitor is answered. Its `key` is chosen once and sent with
every attempt, so that the control plane counts it once however often the answer is lost.
"""

import json
from dataclasses import dataclass

from consent_core.clock import Clock
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import DAY_S

CLOSED_KEPT_S = 7 * DAY_S  # so that an operator can see what became of them


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A "no". `key`: idempotency key, 16 to 64 characters of base64url. `session`: hex SHA-256 of the cookie's secret.

    `subject`: hash of the visitor, None if this POP cannot know it. Tokens with a `ver` lower than `below` lose
    `categories` (None: all of them).
    """

    key: str
    session: str
    subject: str | None
    below: int
    categories: tuple[str, ...] | None = None


class Outbox:
    """The `outbox` table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def add(self, withdrawal: Withdrawal) -> bool:
        """Keep a withdrawal; whether it is new."""
        w = withdrawal
        return (
            self._db.run(
                "INSERT OR IGNORE INTO outbox (key, visitor, session, subject, below, categories, at)"
                " VALUES (?1,COALESCE(?3, ?2),?2,?3,?4,?5,?6)",
                (w.key, w.session, w.subject, w.below, json.dumps(w.categories), self._clock.now()),
            )
            > 0
        )

    def pending(self, limit: int = 100) -> tuple[Withdrawal, ...]:
        """What must still be forwarded, in the order it was said."""
        rows = self._db.rows(
            "SELECT key, session, subject, below, categories FROM outbox WHERE state='pending' ORDER BY id LIMIT ?",
            (limit,),
        )
        return tuple(_withdrawal(*row) for row in rows)

    def refused(self) -> tuple[tuple[Withdrawal, str], ...]:
        """What the control plane would not take, with its code. In force here all the same."""
        rows = self._db.rows(
            "SELECT key, session, subject, below, categories, code FROM outbox WHERE state='refused' ORDER BY id"
        )
        return tuple((_withdrawal(*row[:-1]), row[-1]) for row in rows)

    def close(self, key: str, state: str, code: str | None = None) -> None:
        """Note the end of a withdrawal: `forwarded`, or `refused` with a code."""
        self._db.run(
            "UPDATE outbox SET state=?, code=?, closed_at=? WHERE key=?", (state, code, self._clock.now(), key)
        )

    def forget(self, subject: str) -> None:
        """Drop what an erased visitor said: there is no record left to withdraw from."""
        self._db.run("DELETE FROM outbox WHERE subject=?", (subject,))

    def sweep(self) -> int:
        """Delete what ended a week ago. What was refused and names a visitor stays: it is still in force.

        A refused one of nobody known here (an invented session, say) has no effect: kept, it would fill the disk.
        """
        with self._db.transaction(durable=False):
            return self._db.run(
                "DELETE FROM outbox WHERE closed_at<=? AND (state='forwarded' OR state='refused' AND subject IS NULL)",
                (self._clock.now() - CLOSED_KEPT_S,),
            )


def _withdrawal(key: str, session: str, subject: str | None, below: int, categories: str) -> Withdrawal:
    names = json.loads(categories)
    return Withdrawal(key, session, subject, below, None if names is None else tuple(names))
