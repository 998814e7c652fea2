"""What this POP attested: the end of its chain, and everything that the next attestation and statement need.

    attested.applied(43, at)                       # inside the transaction that applies a page of the log
    attested.commit(end, heads, text)              # number, chain and outbox row together, or none of them
    attested.pending(256); attested.sent(rows)     # sent until answered, identical bytes

Trust: *trusted against rewinding*. A restored copy is behind what the control plane knows, and begins another life.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.attestation import FIRST, MAX_APPLIED
from consent_core.formats.attester import Line
from consent_core.formats.revocation import Entry
from consent_core.formats.seen import NONE
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.erasures import Erased

HEADS_KEPT_S = 86_400  # a search begins at most so long before it is made
KEPT_S = 7 * 86_400  # of what nothing asks for any more


@dataclass(frozen=True, slots=True)
class End:
    """The newest attestation. until: where the next one begins. began: when this life did. seen: as it names it."""

    life: int = 0
    n: int = 0
    hash: str = FIRST
    until: int = 0
    began: int = 0
    seen: str = NONE.text


@dataclass(frozen=True, slots=True)
class Attested:
    """One attestation, as statements refer to it. heads: of the trails, at its time."""

    life: int
    n: int
    until: int
    position: int
    hash: str
    heads: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OwedSearch:
    """A no that was applied here, and of which the trails were not searched yet. Times are Unix seconds."""

    seq: int
    subject: str
    categories: tuple[str, ...]
    ver: int
    said_at: int
    applied_at: int


@dataclass(frozen=True, slots=True)
class OwedDeletion:
    """A purge that is done here and of which no statement was made. deleted: rows by part; ends: day by part."""

    seq: int
    subject: str
    deleted: Mapping[str, int]
    ends: Mapping[str, str]
    at: int


class AttestedStore:
    """The tables `attested`, `attested_heads`, `applied`, `searches` and `evidence_outbox`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def end(self) -> End:
        """Where the chain ends; its beginning if nothing was attested."""
        row = self._db.row("SELECT life, n, hash, until, began, seen FROM attested")
        return End() if row is None else End(*row)

    def apply(self, entries: Sequence[Entry], through: int) -> None:
        """Note when entries came into force here, and which noes are to be searched for; in the caller's transaction.

        A POP owes no search for what was said before it attested for the first time.
        """
        now, began = self._clock.now(), self.end().began
        self._db.run("INSERT OR IGNORE INTO applied VALUES (?,?)", (through, now))
        for entry in entries:
            if entry.kind == "session" and began and entry.at >= began:
                values = (entry.seq, entry.subject, json.dumps(entry.categories), entry.ver, entry.at, now)
                self._db.run("INSERT OR IGNORE INTO searches VALUES (?,?,?,?,?,?)", values)
            elif entry.kind == "purge":
                self._db.run("DELETE FROM searches WHERE subject=?", (entry.subject,))

    def applied(self, position: int = 2**53) -> tuple[tuple[int, int], ...]:
        """What came into force since the last attestation, up to a position, oldest first: (through, at)."""
        rows = self._db.rows(
            "SELECT through, at FROM applied WHERE through<=? ORDER BY through LIMIT ?", (position, MAX_APPLIED)
        )
        return tuple((through, at) for through, at in rows)

    def commit(self, end: End, position: int, heads: Mapping[str, str], text: str) -> None:
        """The next attestation, and that it is to be sent; the times up to its position are told."""
        with self._db.transaction():
            self._db.run("DELETE FROM attested")
            values = (end.life, end.n, end.hash, end.until, end.began, end.seen)
            self._db.run("INSERT INTO attested VALUES (1,?,?,?,?,?,?)", values)
            row = (end.life, end.n, end.until, position, end.hash, json.dumps(dict(heads)))
            self._db.run("INSERT INTO attested_heads VALUES (?,?,?,?,?,?)", row)
            self._db.run("DELETE FROM applied WHERE through<=?", (position,))
            self._put("attestation", text)
            crash_point("attested-before-commit")
        crash_point("attested")

    def restart(self, end: End) -> None:
        """Begin another life after `end`, which the control plane knows and this store does not."""
        with self._db.transaction():
            self._db.run("DELETE FROM attested")
            values = (end.life, end.n, end.hash, end.until, end.began, end.seen)
            self._db.run("INSERT INTO attested VALUES (1,?,?,?,?,?,?)", values)
            self._db.run("DELETE FROM attested_heads")
            self._db.run("DELETE FROM evidence_outbox WHERE kind='attestation'")

    def newest(self, before: int | None = None) -> Attested | None:
        """The newest attestation, or the newest about a time that ended by `before`."""
        row = self._db.row(
            "SELECT life, n, until, position, hash, heads FROM attested_heads WHERE until <= ?"
            " ORDER BY life DESC, n DESC LIMIT 1",
            (2**53 if before is None else before,),
        )
        return None if row is None else Attested(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]))

    def owed(self, position: int) -> tuple[OwedSearch, ...]:
        """Noes to search for that an attestation of `position` says are in force."""
        rows = self._db.rows("SELECT * FROM searches WHERE seq <= ? ORDER BY seq LIMIT 256", (position,))
        return tuple(OwedSearch(row[0], row[1], tuple(json.loads(row[2])), *row[3:]) for row in rows)

    def state(self, statements: Mapping[int, str]) -> None:
        """Statements of searches, by entry: to be sent, and no longer owed."""
        with self._db.transaction():
            for seq, text in statements.items():
                self._db.run("DELETE FROM searches WHERE seq=?", (seq,))
                self._put("statement", text)
        crash_point("statement-kept")

    def owe_deletion(self, erased: Erased) -> None:
        """A purge is done: its statement is owed, in the caller's transaction. A POP that never attested owes none."""
        if self.end().n:
            told = (erased.seq, erased.subject, json.dumps(dict(erased.deleted)), json.dumps(dict(erased.ends)))
            self._db.run("INSERT OR REPLACE INTO deletions VALUES (?,?,?,?,?)", (*told, self._clock.now()))

    def deletions(self, position: int) -> tuple[OwedDeletion, ...]:
        """Purges done here that an attestation of `position` says are in force."""
        rows = self._db.rows("SELECT * FROM deletions WHERE seq <= ? ORDER BY seq LIMIT 256", (position,))
        return tuple(
            OwedDeletion(seq, subject, json.loads(deleted), json.loads(ends), at)
            for seq, subject, deleted, ends, at in rows
        )

    def state_deletion(self, seq: int, text: str) -> None:
        """The statement of a purge: to be sent, and no longer owed."""
        with self._db.transaction():
            self._db.run("DELETE FROM deletions WHERE seq=?", (seq,))
            self._put("statement", text)

    def pending(self, limit: int) -> list[tuple[int, Line]]:
        """What waits to be sent, oldest first."""
        rows = self._db.rows("SELECT id, kind, text FROM evidence_outbox ORDER BY id LIMIT ?", (limit,))
        return [(number, Line(kind, text)) for number, kind, text in rows]

    def sent(self, rows: Sequence[int]) -> None:
        """The control plane has these: nothing of them stays here."""
        with self._db.transaction():
            for number in rows:
                self._db.run("DELETE FROM evidence_outbox WHERE id=?", (number,))

    def sweep(self) -> None:
        """Forget what no statement can need any more."""
        now = self._clock.now()
        with self._db.transaction(durable=False):
            self._db.run(
                "DELETE FROM attested_heads WHERE until < ? AND n < (SELECT n FROM attested)", (now - HEADS_KEPT_S,)
            )
            self._db.run("DELETE FROM searches WHERE applied_at < ?", (now - KEPT_S,))
            if self.end().n == 0:  # a POP that does not attest keeps no times for it
                self._db.run("DELETE FROM applied WHERE at < ?", (now - KEPT_S,))

    def _put(self, kind: str, text: str) -> None:
        self._db.run("INSERT INTO evidence_outbox (kind, text, at) VALUES (?,?,?)", (kind, text, self._clock.now()))
