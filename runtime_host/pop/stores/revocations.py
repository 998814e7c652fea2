"""What was taken back: visitors' categories, keys and models; and how far this POP has read the log that says so.

    revocations.denied(subject, ver)   # frozenset of categories that a token of this `ver` has lost; ~ 1 µs

The tables are the truth, read at the start; a mirror in memory answers requests and changes only after a commit.
A denial comes from the log, or from a withdrawal said at this POP (`local`), which holds until the log says it too.

`SharedRevocations` is for a POP of several processes: any of them may have committed the newest denial, so each asks
the table, by key, and nobody loads it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consent_core.formats.revocation import GENESIS, Point
from consent_core.formats.token import CATEGORIES, MAX_LIFETIME_S
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.shared_state import Mark, SharedState

DENIAL_KEPT_S = 2 * MAX_LIFETIME_S  # CONTRACTS section 4: no token that it could hit is alive any more
LOG, LOCAL = "log", "local"
OWED = ""  # `delivered`: the next log is to get everything that is kept

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


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log was applied. `origin`: the log it is a position in, None before the first answer.

    `chain`: hash of the entry at `position`. `head`, `head_chain`: the highest that log ever signed, None where the
    hash is not known; `at`: its time then (Unix seconds); `shown`: that head as it was signed (`formats.log_head`).
    `due`, `due_chain`: of a head that was signed before and whose entries have not all come.
    `alarm`: the code of what this log said that cannot be; it stays until an operator or a succession ends it.
    """

    origin: str | None
    position: int
    head: int
    at: int
    chain: str = GENESIS
    head_chain: str | None = None
    due: int = 0
    due_chain: str | None = None
    shown: bytes | None = None
    alarm: str | None = None


class Revocations:
    """The `denials`, `denied_texts`, `revoked` and `log` tables, and their mirror: `_below`, `_texts`, `_erased`,
    `_revoked`, `_position`.

    `_generation` counts its changes.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._generation = 0
        self._below: dict[str, dict[str, int]] = {}
        self._texts: set[str] = set()
        self._erased: set[str] = set()
        self._revoked: set[tuple[str, str]] = set()
        self._position = Position(None, 0, 0, 0)
        self._seen = -1
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

    @property
    def position(self) -> Position:
        """How far the log was applied."""
        return self._position

    def refresh(self) -> None:
        """Read again what another process of this POP has committed; cheap if nothing was."""
        if self._db.changed_elsewhere() != self._seen:
            self.load()

    def load(self) -> None:
        """Fill the mirror from the tables."""
        seen = self._db.changed_elsewhere()
        below: dict[str, dict[str, int]] = {}
        for subject, category, bound in self._db.rows(
            "SELECT subject, category, MAX(below) FROM denials GROUP BY subject, category"
        ):
            below.setdefault(subject, {})[category] = bound
        self._below = below
        self._texts = {digest for (digest,) in self._db.rows("SELECT digest FROM denied_texts")}
        self._erased = {subject for (subject,) in self._db.rows("SELECT subject FROM tombstones")}
        self._revoked = {(kind, name) for kind, name in self._db.rows("SELECT kind, name FROM revoked")}
        self._position = self._read_position()
        self._seen = seen
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

    def advance(self, origin: str, place: Point, head: Point, at: int, shown: bytes | None) -> None:
        """Note how far the log is applied, in the transaction that applies it. `shown`: the signed head, if it came."""
        self._db.run("UPDATE log SET origin=?, position=?, chain=?, at=?", (origin, place.number, place.chain, at))
        self._db.run("UPDATE log SET due=?, due_chain=? WHERE due<=position", (head.number, head.chain))
        self._db.run(
            "UPDATE log SET head=?1, head_chain=?2, shown=COALESCE(?3, shown) WHERE head<=?1",
            (head.number, head.chain, shown),
        )
        self._db.after_commit(self._mirror_position)

    def raise_alarm(self, code: str, at: int) -> None:
        """Believe this log no more, also after a restart. The first alarm stays."""
        with self._db.transaction():
            self._db.run("UPDATE log SET alarm=?, alarmed_at=? WHERE alarm IS NULL", (code, at))
            self._db.after_commit(self._mirror_position)

    def accept_origin(self) -> None:
        """Forget which log was followed and start again with the next answer's: an operator's decision.

        Needed when the control plane's store was lost or restored from a backup. Denials stay.
        """
        with self._db.transaction():
            self._db.run(
                "UPDATE log SET origin=NULL, position=0, head=0, at=0, chain=?, head_chain=NULL, due=0,"
                " due_chain=NULL, shown=NULL, alarm=NULL, alarmed_at=NULL, delivered=?",
                (GENESIS, OWED),
            )
            self._db.run("UPDATE demanded SET hash=NULL, seq=0")
            self._db.after_commit(self._mirror_position)

    def follow(self, origin: str, place: Point) -> None:
        """Read on in the log that takes this one's place, inside a transaction: the alarm has ended."""
        self._db.run(
            "UPDATE log SET origin=?1, position=?2, chain=?3, head=?2, head_chain=NULL, due=0, due_chain=NULL,"
            " shown=NULL, alarm=NULL, alarmed_at=NULL",
            (origin, place.number, place.chain),
        )
        self._db.run("UPDATE demanded SET seq=MIN(seq, ?)", (place.number,))
        self._db.after_commit(self._mirror_position)

    @property
    def delivered(self) -> str | None:
        """The log that was sent everything that is kept here."""
        row = self._db.row("SELECT delivered FROM log")
        return None if row is None else row[0]

    def note_delivered(self, origin: str) -> None:
        """That log has everything."""
        with self._db.transaction():
            self._db.run("UPDATE log SET delivered=?", (origin,))

    def read_position(self) -> Position:
        """The position as it is on the disk: `edge pop accept-log` is another process."""
        self._mirror_position()
        return self._position

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

    def _mirror_position(self) -> None:
        self._position = self._read_position()

    def _read_position(self) -> Position:
        row = self._db.row(
            "SELECT origin, position, head, at, chain, head_chain, due, due_chain, shown, alarm FROM log"
        )
        assert row is not None
        return Position(*row)


class SharedRevocations(Revocations):
    """The same tables in a POP of several processes. Only the lead follows the log; anybody denies.

    `_revoked` and `_position` are mirrored; `_read_at` is the mark under which the keys were read.
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

    def refresh(self) -> None:
        """Nothing to do: whoever commits says so on the shared_state."""

    def load(self) -> None:
        """Read what is mirrored. A sweep changes none of it."""
        mark = self._shared_state.mark(Mark.KEYS)  # before the table: what comes meanwhile is read next time
        self._revoked = {(kind, name) for kind, name in self._db.rows("SELECT kind, name FROM revoked")}
        self._mirror_position()
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
