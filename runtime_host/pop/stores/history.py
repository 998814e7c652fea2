"""What a visitor did at this POP, as long as consent and retention allow, and the anonymous totals beside it.

| category | kept per visitor | when revoked |
|---|---|---|
| contextual | nothing: it lives for one visit, in the request | nothing to delete |
| behavioral | 7 days | rows deleted |
| experimental | 14 days | rows deleted; `totals`, which name no visitor, stay |

A row is readable from its second on for exactly the retention of its category, whether or not `sweep` has run.
A write asks for tombstones and denials inside its own transaction: whichever of write and purge comes first,
nothing is left.
"""

import json
from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.consent import RETENTION_S
from consent_core.formats.days import day_of
from runtime_host.pop.stores.database import Database

DAY_S = 86_400
TOTALS_DAYS = 90  # anonymous counts; long enough for any experiment to be evaluated
MAX_ROWS = 200  # per visitor and category, the newest: no robot fills the disk


@dataclass(frozen=True, slots=True)
class Interaction:
    """One thing to remember. `subject`: 64 hex characters; `ver`: of the token that allowed it."""

    subject: str
    ver: int
    category: str
    kind: str
    item: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """One remembered thing. `day`: UTC date; `at`: Unix seconds."""

    kind: str
    item: str
    tags: tuple[str, ...]
    day: str
    at: int


class History:
    """The `history` and `totals` tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def record(self, interaction: Interaction) -> None:
        """Remember one interaction, unless the visitor was erased or took this category back.

        Raises: Rejected("visitor-erased"), Rejected("category-revoked"); ValueError for a category that keeps nothing.
        """
        if not RETENTION_S.get(interaction.category):
            raise ValueError(f"{interaction.category} keeps no history")
        now = self._clock.now()
        with self._db.transaction(durable=False):
            self._check(interaction)
            self._insert(interaction, now)
            self._trim(interaction)
            if interaction.category == "experimental":
                self._count(interaction, now)

    def read(self, subject: str, category: str, limit: int = MAX_ROWS) -> tuple[Kept, ...]:
        """What may be known of a visitor now, newest first."""
        now = self._clock.now()
        rows = self._db.rows(
            "SELECT kind, item, tags, day, at FROM history WHERE subject=? AND category=? AND at>? AND at<=?"
            " ORDER BY id DESC LIMIT ?",
            (subject, category, now - RETENTION_S.get(category, 0), now, limit),
        )
        return tuple(Kept(kind, item, tuple(json.loads(tags)), day, at) for kind, item, tags, day, at in rows)

    def totals(self, day: str) -> dict[tuple[str, str, tuple[str, ...]], int]:
        """How often each (kind, item, tags) of experiments happened on a UTC date, without visitors."""
        rows = self._db.rows("SELECT kind, item, tags, n FROM totals WHERE day=?", (day,))
        return {(kind, item, tuple(json.loads(tags))): n for kind, item, tags, n in rows}

    def days(self, subject: str, category: str, below: int | None = None) -> tuple[str, ...]:
        """The UTC dates on which rows of a visitor exist, out of retention or not, oldest first."""
        rows = self._db.rows(
            "SELECT DISTINCT day FROM history WHERE subject=? AND category=? AND ver<? ORDER BY day",
            (subject, category, _bound(below)),
        )
        return tuple(day for (day,) in rows)

    def delete(self, subject: str, category: str, below: int | None = None) -> int:
        """Forget a category of a visitor, written under tokens with a `ver` below this one (None: all)."""
        return self._db.run(
            "DELETE FROM history WHERE subject=? AND category=? AND ver<?", (subject, category, _bound(below))
        )

    def delete_all(self, subject: str) -> int:
        """Forget a visitor."""
        return self._db.run("DELETE FROM history WHERE subject=?", (subject,))

    def sweep(self) -> int:
        """Delete what ran out; how many rows went."""
        now = self._clock.now()
        with self._db.transaction(durable=False):
            self._db.run("DELETE FROM totals WHERE day<?", (day_of(now - TOTALS_DAYS * DAY_S),))
            return sum(
                self._db.run("DELETE FROM history WHERE category=? AND at<=?", (category, now - retention))
                for category, retention in RETENTION_S.items()
            )

    def _check(self, interaction: Interaction) -> None:
        if self._db.row("SELECT 1 FROM tombstones WHERE subject=?", (interaction.subject,)):
            raise Rejected("visitor-erased", "this visitor was erased", status=410)
        if self._db.row(
            "SELECT 1 FROM denials WHERE subject=? AND category=? AND below>?",
            (interaction.subject, interaction.category, interaction.ver),
        ):
            raise Rejected("category-revoked", f"{interaction.category} was taken back", status=403)

    def _insert(self, interaction: Interaction, now: int) -> None:
        i = interaction
        self._db.run(
            "INSERT INTO history (subject, ver, category, kind, item, tags, day, at) VALUES (?,?,?,?,?,?,?,?)",
            (i.subject, i.ver, i.category, i.kind, i.item, json.dumps(i.tags), day_of(now), now),
        )

    def _trim(self, interaction: Interaction) -> None:
        key = (interaction.subject, interaction.category)
        self._db.run(
            "DELETE FROM history WHERE subject=? AND category=? AND id<="
            " (SELECT id FROM history WHERE subject=? AND category=? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (*key, *key, MAX_ROWS),
        )

    def _count(self, interaction: Interaction, now: int) -> None:
        self._db.run(
            "INSERT INTO totals VALUES (?,?,?,?,1) ON CONFLICT DO UPDATE SET n=n+1",
            (day_of(now), interaction.kind, interaction.item, json.dumps(interaction.tags)),
        )


def _bound(below: int | None) -> int:
    return 2**62 if below is None else below


__all__ = ["DAY_S", "MAX_ROWS", "RETENTION_S", "History", "Interaction", "Kept", "day_of"]
