"""Writes what was taken back: the tables `denials`, `denied_texts` and `revoked`, inside the caller's transaction.

A denial comes from the log, or from a withdrawal said at this POP (`local`), which holds until the log says it too.
Readers hear of each change after the commit.
"""

from collections.abc import Iterable

from consent_core.formats.token import MAX_LIFETIME_S
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.revocations import Revocations

DENIAL_KEPT_S = 2 * MAX_LIFETIME_S  # CONTRACTS section 4: no token that it could hit is alive any more
LOG, LOCAL = "log", "local"


class RevocationTables:
    """The writer. `readers`: what this process reads the tables by."""

    def __init__(self, database: Database, readers: Revocations) -> None:
        self._db = database
        self._readers = readers

    def deny(self, subject: str, categories: Iterable[str], below: int, source: str, until: int | None) -> None:
        """Take categories from every token of a visitor below a version.

        `until`: Unix seconds, after which no such token is alive; None: not known yet.
        """  # SQLite's MAX of anything and NULL is NULL: without an end stays without an end
        for category in categories:
            self._db.run(
                "INSERT INTO denials VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE"
                " SET below=MAX(below, excluded.below), until=MAX(until, excluded.until)",
                (subject, category, source, below, until),
            )
            self._db.after_commit(lambda category=category: self._readers.on_denied(subject, category, below))  # type: ignore[misc]

    def deny_text(self, digest: str, until: int) -> None:
        """Take one token by its text alone. `until`: Unix seconds of its expiry."""
        self._db.run("INSERT OR IGNORE INTO denied_texts VALUES (?,?)", (digest, until))
        self._db.after_commit(lambda: self._readers.on_text_denied(digest))

    def settle(self, subject: str, categories: Iterable[str], below: int, until: int) -> None:
        """A local denial up to this version has reached the control plane: it may end at `until`."""
        for category in categories:
            self._db.run(
                "UPDATE denials SET until=? WHERE subject=? AND category=? AND source=? AND below<=?",
                (until, subject, category, LOCAL, below),
            )

    def erase(self, subject: str) -> None:
        """Nothing signed for this visitor counts any more; the tombstone is put up in the same transaction."""
        self._db.run("DELETE FROM denials WHERE subject=?", (subject,))
        self._db.after_commit(lambda: self._readers.on_erased(subject))

    def revoke(self, kind: str, name: str, at: int) -> None:
        """Distrust a `key` or withdraw a `model`, for good."""
        self._db.run("INSERT OR IGNORE INTO revoked VALUES (?,?,?)", (kind, name, at))
        self._db.after_commit(lambda: self._readers.on_revoked(kind, name))

    def sweep(self, before: int) -> int:
        """Drop denials that can hit no living token at `before` (Unix seconds, not later than any clock in use)."""
        with self._db.transaction(durable=False):
            gone = self._db.run("DELETE FROM denials WHERE until<?", (before,))
            gone += self._db.run("DELETE FROM denied_texts WHERE until<?", (before,))
        if gone:
            self._readers.on_swept()
        return gone
