"""Withdrawals said at this POP, kept until the control plane has them. Each row has one owner: who sends it.

A withdrawal is on disk, and in force here, before the visitor is answered. Its `key` is chosen once and sent with
every attempt, so that the control plane counts it once however often the answer is lost. The process that wrote a row
sends it; the row of one that ended is free after `LEASE_S`, or at the next start of the POP.

    batch = outbox.claim()           # no other process sends these meanwhile
    outbox.release(batch)            # not sent: anybody may
"""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from consent_core.clock import Clock
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import DAY_S

CLOSED_KEPT_S = 15 * DAY_S  # a control plane that was restored from a backup asks for them
MAX_BATCH = 256  # rows in one request, as the control plane takes them
LEASE_S = 45  # longer than one attempt; a worker that died leaves its rows to the others after this

_COLUMNS = "key, withdraw, subject, below, categories, number, session, at"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A "no". `key`: idempotency key, 16 to 64 characters of base64url. `withdraw`: the credential that can only
    withdraw; None in rows from before there was one, which have `session`: hex SHA-256 of the cookie's secret.

    `subject`: hash of the visitor, None if this POP cannot know it. Tokens with a `ver` lower than `below` lose
    `categories` (None: all of them). `number`: of the click, None where there is none. `at`: Unix seconds.
    """

    key: str
    withdraw: str | None
    subject: str | None
    below: int
    categories: tuple[str, ...] | None = None
    number: int | None = None
    session: str | None = None
    at: int = field(default=0, compare=False)

    @property
    def visitor(self) -> str:
        """Whose it is, as far as it can be known here: a key counts once for each."""
        return self.subject or self.withdraw or self.session or ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that one sender has. `owner`: the name under which it has them."""

    owner: str
    withdrawals: tuple[Withdrawal, ...]


class Outbox:
    """The `outbox` table as one process uses it. `_owner`: its name in the rows; no two processes have the same."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._batches = 0

    def add(self, withdrawal: Withdrawal) -> bool:
        """Keep a withdrawal, to be sent by this process; whether it is new."""
        w, now = withdrawal, self._clock.now()
        return (
            self._db.run(
                f"INSERT OR IGNORE INTO outbox ({_COLUMNS}, visitor, owner, claimed_at)"  # noqa: S608 - our own names
                " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(w.key, w.withdraw, w.subject, w.below, json.dumps(w.categories), w.number, w.session),
                    *(w.at or now, w.visitor, self._owner, now),
                ),
            )
            > 0
        )

    def holds(self, key: str, visitor: str) -> bool:
        """Whether this key of this visitor is here, sent or not."""
        return self._db.row("SELECT 1 FROM outbox WHERE key=? AND visitor=?", (key, visitor)) is not None

    def is_pending(self, withdrawal: Withdrawal) -> bool:
        """Whether the control plane has yet to hear of this one."""
        values = withdrawal.visitor, withdrawal.key
        return self._db.row("SELECT 1 FROM outbox WHERE visitor=? AND key=? AND state='pending'", values) is not None

    def waits(self, visitor: str) -> bool:
        """Whether the control plane has yet to hear of something this visitor said here."""
        return self._db.row("SELECT 1 FROM outbox WHERE visitor=? AND state='pending'", (visitor,)) is not None

    def claim(self, limit: int = MAX_BATCH) -> Batch:
        """Take rows to send, in the order they were said: this process's own, and those that no process has."""
        self._batches += 1
        owner, now = f"{self._owner}.{self._batches}", self._clock.now()
        with self._db.transaction(durable=False):
            free = (
                "SELECT id FROM outbox WHERE state='pending'"
                " AND (owner IS NULL OR owner=? OR claimed_at NOT BETWEEN ? AND ?) ORDER BY id LIMIT ?"
            )
            self._db.run(
                f"UPDATE outbox SET owner=?, claimed_at=? WHERE id IN ({free})",  # noqa: S608
                (owner, now, self._owner, now - LEASE_S, now, limit),
            )
        return Batch(owner, self._read("state='pending' AND owner=?", owner))

    def release(self, batch: Batch) -> None:
        """Give back what was not sent."""
        with self._db.transaction(durable=False):
            self._db.run("UPDATE outbox SET owner=NULL WHERE owner=? AND state='pending'", (batch.owner,))

    def adopt(self) -> None:
        """Free every row: an earlier run of this POP has ended, and no process of this one has begun."""
        with self._db.transaction(durable=False):
            self._db.run("UPDATE outbox SET owner=NULL WHERE state='pending' AND owner IS NOT NULL")

    def pending(self) -> tuple[Withdrawal, ...]:
        """What must still be forwarded, in the order it was said."""
        return self._read("state='pending'")

    def pending_of(self, visitor: str) -> tuple[Withdrawal, ...]:
        """What one visitor said that the control plane has yet to hear of."""
        return self._read("state='pending' AND visitor=?", visitor)

    def waiting(self) -> tuple[int, int | None]:
        """How many are pending, and when the oldest of them was said (Unix seconds; None if there are none)."""
        row = self._db.row("SELECT COUNT(*), MIN(at) FROM outbox WHERE state='pending'")
        assert row is not None
        return int(row[0]), row[1]

    def refused(self) -> tuple[tuple[Withdrawal, str], ...]:
        """What the control plane would not take, with its code. In force here all the same."""
        rows = self._db.rows(f"SELECT {_COLUMNS}, code FROM outbox WHERE state='refused' ORDER BY id")  # noqa: S608
        return tuple((_withdrawal(*row[:-1]), row[-1]) for row in rows)

    def close(self, withdrawal: Withdrawal, state: str, code: str | None = None) -> None:
        """Note the end of a withdrawal: `forwarded`, or `refused` with a code."""
        self._db.run(
            "UPDATE outbox SET state=?, code=?, closed_at=? WHERE key=? AND visitor=?",
            (state, code, self._clock.now(), withdrawal.key, withdrawal.visitor),
        )

    def forget(self, subject: str) -> None:
        """Drop what an erased visitor said: there is no record left to withdraw from."""
        self._db.run("DELETE FROM outbox WHERE subject=?", (subject,))

    def sweep(self) -> int:
        """Delete what ended a week ago. What was refused and names a visitor stays: it is still in force.

        A refused one of a session that is unknown here (an invented one, say) has no effect: kept, it would fill the
        disk.
        """
        with self._db.transaction(durable=False):
            return self._db.run(
                "DELETE FROM outbox WHERE closed_at<=? AND (state='forwarded' OR state='refused' AND subject IS NULL)",
                (self._clock.now() - CLOSED_KEPT_S,),
            )

    def _read(self, which: str, *values: Any) -> tuple[Withdrawal, ...]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM outbox WHERE {which} ORDER BY id", values)  # noqa: S608
        return tuple(_withdrawal(*row) for row in rows)


def _withdrawal(
    key: str,
    withdraw: str | None,
    subject: str | None,
    below: int,
    categories: str,
    number: int | None,
    session: str | None,
    at: int,
) -> Withdrawal:
    names = json.loads(categories)
    return Withdrawal(key, withdraw, subject, below, None if names is None else tuple(names), number, session, at)
