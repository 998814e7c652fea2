"""What was taken back: visitors' categories, keys and models.

    revocations.denied(subject, ver)   # frozenset of categories that a token of this `ver` has lost; ~ 1 µs

The tables are the truth, read at the start; a mirror in memory answers requests and changes only after a commit.
A denial comes from the log, or from a withdrawal said at this POP (`local`), which holds until the log says it too.

`SharedRevocations` is for a POP of several processes: any of them may have committed the newest denial, so each asks
the table, by key, and nobody loads it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consent_core.formats.token import CATEGORIES, MAX_LIFETIME_S
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.shared_state import Mark, SharedState

DENIAL_KEPT_S = 2 * MAX_LIFETIME_S  # CONTRACTS section 4: no token that it could hit is alive any more
LOG, LOCAL = "log", "local"

_NOTHING: frozenset[str] = frozenset()
_EVERYTHING = frozenset(CATEGORIES)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is in force from now on. Fields as in the log's entry; `seq` None: said at this POP."""

    seq: int | None
    kind: str
    subject: str
    categories: tuple[str, ...]
    ver: int
    at: int


class Revocations:
    """The `denials`, `denied_texts` and `revoked` tables, and their mirror: `_below`, `_texts`, `_erased`, `_revoked`.

    `_generation` counts its changes.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._generation = 0
        self._below: dict[str, dict[str, int]] = {}
        self._texts: set[str] = set()
        self._erased: set[str] = set()
        self._revoked: set[tuple[str, str]] = set()
        self.load()

    @property
    def generation(self) -> int:
        """Rises with every change."""
        return self._generation

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this visitor and version has lost."""
        below = self._below.get(subject)
        if below is None:
            return _EVERYTHING if subject in self._erased else _NOTHING
        if subject in self._erased:
            return _EVERYTHING
        return frozenset(category for category, bound in below.items() if ver < bound)

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was taken back, whoever's it is."""
        return digest in self._texts

    def key_revoked(self, kid: str) -> bool:
        """Whether nothing signed by this key counts any more. A lookup for who raises."""
        return ("key", kid) in self._revoked

    def revoked_keys(self) -> frozenset[str]:
        """Every key id, SPIFFE id and certificate (`serial:<hex>`) the log took away."""
        return frozenset(name for kind, name in self._revoked if kind == "key")

    @property
    def erased(self) -> frozenset[str]:
        """The visitors with a tombstone."""
        return frozenset(self._erased)

    def is_erased(self, subject: str) -> bool:
        """Whether this visitor has a tombstone."""
        return subject in self._erased

    def model_revoked(self, model: str) -> bool:
        """Whether this release is withdrawn."""
        return ("model", model) in self._revoked

    def load(self) -> None:
        """Fill the mirror from the tables."""
        below: dict[str, dict[str, int]] = {}
        for subject, category, bound in self._db.rows(
            "SELECT subject, category, MAX(below) FROM denials GROUP BY subject, category"
        ):
            below.setdefault(subject, {})[category] = bound
        self._below = below
        self._texts = {digest for (digest,) in self._db.rows("SELECT digest FROM denied_texts")}
        self._erased = {subject for (subject,) in self._db.rows("SELECT subject FROM tombstones")}
        self._revoked = {(kind, name) for kind, name in self._db.rows("SELECT kind, name FROM revoked")}
        self._generation += 1

    def deny(self, subject: str, categories: Iterable[str], below: int, source: str, until: int | None) -> None:
        """Take categories from every token of a visitor below a version, inside a transaction.

        `until`: Unix seconds, after which no such token is alive; None: not known yet.
        """  # SQLite's MAX of anything and NULL is NULL: without an end stays without an end
        for category in categories:
            self._db.run(
                "INSERT INTO denials VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE"
                " SET below=MAX(below, excluded.below), until=MAX(until, excluded.until)",
                (subject, category, source, below, until),
            )
            self._db.after_commit(lambda category=category: self._mirror(subject, category, below))  # type: ignore[misc]

    def deny_text(self, digest: str, until: int) -> None:
        """Take one token by its text alone, inside a transaction. `until`: Unix seconds of its expiry."""
        self._db.run("INSERT OR IGNORE INTO denied_texts VALUES (?,?)", (digest, until))
        self._db.after_commit(lambda: self._mirror_text(digest))

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
        self._db.after_commit(lambda: self._mirror_erased(subject))

    def revoke(self, kind: str, name: str, at: int) -> None:
        """Distrust a `key` or withdraw a `model`, for good."""
        self._db.run("INSERT OR IGNORE INTO revoked VALUES (?,?,?)", (kind, name, at))
        self._db.after_commit(lambda: self._mirror_revoked(kind, name))

    def sweep(self, before: int) -> int:
        """Drop denials that can hit no living token at `before` (Unix seconds, not later than any clock in use)."""
        with self._db.transaction(durable=False):
            gone = self._db.run("DELETE FROM denials WHERE until<?", (before,))
            gone += self._db.run("DELETE FROM denied_texts WHERE until<?", (before,))
        if gone:
            self.load()
        return gone

    def _mirror(self, subject: str, category: str, below: int) -> None:
        bounds = self._below.setdefault(subject, {})
        bounds[category] = max(bounds.get(category, 0), below)
        self._generation += 1

    def _mirror_text(self, digest: str) -> None:
        self._texts.add(digest)
        self._generation += 1

    def _mirror_erased(self, subject: str) -> None:
        self._below.pop(subject, None)
        self._erased.add(subject)
        self._generation += 1

    def _mirror_revoked(self, kind: str, name: str) -> None:
        self._revoked.add((kind, name))
        self._generation += 1


class SharedRevocations(Revocations):
    """The same tables in a POP of several processes. Only the lead follows the log; anybody denies.

    `_revoked` is mirrored; `_read_at` is the mark under which the keys were read.
    """

    def __init__(self, database: Database, shared_state: SharedState) -> None:
        self._shared_state = shared_state
        self._read_at = -1
        self._marks = b""
        super().__init__(database)

    @property
    def generation(self) -> int:
        """Rises with every change that any process of this POP has committed."""
        marks = self._shared_state.marks()
        if marks != self._marks:
            self._marks, self._generation = marks, self._shared_state.count(marks)
        return self._generation

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this visitor and version has lost. Raises: Unavailable("store-io")."""
        lost = [category for (category,) in self._db.rows(
            "SELECT category FROM denials WHERE subject=?1 AND below>?2"
            " UNION ALL SELECT '' FROM tombstones WHERE subject=?1", (subject, ver),
        )]  # fmt: skip
        return _EVERYTHING if "" in lost else frozenset(lost)

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text was taken back. Raises: Unavailable("store-io")."""
        return self._db.row("SELECT 1 FROM denied_texts WHERE digest=?", (digest,)) is not None

    def key_revoked(self, kid: str) -> bool:
        """Whether nothing signed by this key counts any more. Raises: Unavailable("store-io")."""
        self._look()
        return super().key_revoked(kid)

    def revoked_keys(self) -> frozenset[str]:
        """Every key id, SPIFFE id and certificate (`serial:<hex>`) the log took away."""
        self._look()
        return super().revoked_keys()

    def model_revoked(self, model: str) -> bool:
        """Whether this release is withdrawn. Raises: Unavailable("store-io")."""
        self._look()
        return super().model_revoked(model)

    def is_erased(self, subject: str) -> bool:
        """Whether this visitor has a tombstone. Raises: Unavailable("store-io")."""
        return self._db.row("SELECT 1 FROM tombstones WHERE subject=?", (subject,)) is not None

    @property
    def erased(self) -> frozenset[str]:
        """The visitors with a tombstone."""
        return frozenset(subject for (subject,) in self._db.rows("SELECT subject FROM tombstones"))

    def load(self) -> None:
        """Read what is mirrored. A sweep changes none of it."""
        mark = self._shared_state.mark(Mark.KEYS)  # before the table: what comes meanwhile is read next time
        self._revoked = {(kind, name) for kind, name in self._db.rows("SELECT kind, name FROM revoked")}
        self._read_at = mark

    def _look(self) -> None:
        if self._shared_state.mark(Mark.KEYS) != self._read_at:
            self.load()

    def _mirror(self, subject: str, category: str, below: int) -> None:
        self._shared_state.announce_denial()

    def _mirror_text(self, digest: str) -> None:
        self._shared_state.announce_denial()

    def _mirror_erased(self, subject: str) -> None:
        self._shared_state.announce(Mark.ERASED)

    def _mirror_revoked(self, kind: str, name: str) -> None:
        self._revoked.add((kind, name))
        self._shared_state.announce(Mark.KEYS)
