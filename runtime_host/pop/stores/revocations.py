"""What was taken back, as requests read it: visitors' categories, keys and models.

    revocations.denied(subject, ver)   # frozenset of categories that a token of this `ver` has lost; ~ 1 µs

The tables are the truth and `revoking` writes them. Two readers fit the protocol `Revocations`:

    MirroredRevocations   of a POP of one process: a mirror in memory, read at the start, changed after each commit
    SharedRevocations     of a POP of several processes: any of them may have committed the newest denial, so each asks
                          the table, by key; only keys and models are mirrored
"""

from dataclasses import dataclass
from typing import Protocol

from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.shared_state import Mark, SharedState

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


class Revocations(Protocol):
    """A reader of the tables. Where it asks the disk, it raises Unavailable("store-io")."""

    @property
    def generation(self) -> int:
        """Rises with every change."""
        ...

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this visitor and version has lost."""
        ...

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was taken back."""
        ...

    def key_revoked(self, kid: str) -> bool:
        """Whether nothing signed by this key counts any more."""
        ...

    def revoked_keys(self) -> frozenset[str]:
        """Every key id, SPIFFE id and certificate (`serial:<hex>`) the log took away."""
        ...

    def model_revoked(self, model: str) -> bool:
        """Whether this release is withdrawn."""
        ...

    @property
    def erased(self) -> frozenset[str]:
        """The visitors with a tombstone."""
        ...

    def is_erased(self, subject: str) -> bool:
        """Whether this visitor has a tombstone."""
        ...

    # What the writer says, after the commit.

    def on_denied(self, subject: str, category: str, below: int) -> None:
        """One category of a visitor's tokens below a version is denied."""
        ...

    def on_text_denied(self, digest: str) -> None:
        """One token is denied."""
        ...

    def on_erased(self, subject: str) -> None:
        """A visitor has a tombstone."""
        ...

    def on_revoked(self, kind: str, name: str) -> None:
        """A key or a model is revoked."""
        ...

    def on_swept(self) -> None:
        """Denials that could hit no living token are gone."""
        ...


class MirroredRevocations:
    """The mirror of one process: `_below`, `_texts`, `_erased`, `_revoked`. `_generation` counts its changes."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._generation = 0
        self._below: dict[str, dict[str, int]] = {}
        self._texts: set[str] = set()
        self._erased: set[str] = set()
        self._revoked: set[tuple[str, str]] = set()
        self._load()

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
        """Whether the token of this text (hex SHA-256) was taken back."""
        return digest in self._texts

    def key_revoked(self, kid: str) -> bool:
        """Whether nothing signed by this key counts any more."""
        return ("key", kid) in self._revoked

    def revoked_keys(self) -> frozenset[str]:
        """Every key id, SPIFFE id and certificate (`serial:<hex>`) the log took away."""
        return _keys(self._revoked)

    def model_revoked(self, model: str) -> bool:
        """Whether this release is withdrawn."""
        return ("model", model) in self._revoked

    @property
    def erased(self) -> frozenset[str]:
        """The visitors with a tombstone."""
        return frozenset(self._erased)

    def is_erased(self, subject: str) -> bool:
        """Whether this visitor has a tombstone."""
        return subject in self._erased

    def on_denied(self, subject: str, category: str, below: int) -> None:
        """One category of a visitor's tokens below a version is denied."""
        bounds = self._below.get(subject, {})  # replaced whole: others read it meanwhile
        self._below[subject] = {**bounds, category: max(bounds.get(category, 0), below)}
        self._generation += 1

    def on_text_denied(self, digest: str) -> None:
        """One token is denied."""
        self._texts.add(digest)
        self._generation += 1

    def on_erased(self, subject: str) -> None:
        """A visitor has a tombstone."""
        self._below.pop(subject, None)
        self._erased.add(subject)
        self._generation += 1

    def on_revoked(self, kind: str, name: str) -> None:
        """A key or a model is revoked."""
        self._revoked = {*self._revoked, (kind, name)}
        self._generation += 1

    def on_swept(self) -> None:
        """Denials that could hit no living token are gone: read what is left."""
        self._load()

    def _load(self) -> None:
        below: dict[str, dict[str, int]] = {}
        for subject, category, bound in self._db.rows(
            "SELECT subject, category, MAX(below) FROM denials GROUP BY subject, category"
        ):
            below.setdefault(subject, {})[category] = bound
        self._below = below
        self._texts = {digest for (digest,) in self._db.rows("SELECT digest FROM denied_texts")}
        self._erased = {subject for (subject,) in self._db.rows("SELECT subject FROM tombstones")}
        self._revoked = _read_revoked(self._db)
        self._generation += 1


class SharedRevocations:
    """The reader of one process of several. Only the lead follows the log; each process may deny.

    `_revoked` is mirrored; `_read_at` is the mark under which the keys were read. `_generation` is the sum of `_marks`.
    """

    def __init__(self, database: Database, shared_state: SharedState) -> None:
        self._db = database
        self._shared_state = shared_state
        self._marks = b""
        self._generation = 0
        self._revoked: set[tuple[str, str]] = set()
        self._load()

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
        return ("key", kid) in self._revoked

    def revoked_keys(self) -> frozenset[str]:
        """Every key id, SPIFFE id and certificate (`serial:<hex>`) the log took away. Raises: as `key_revoked`."""
        self._look()
        return _keys(self._revoked)

    def model_revoked(self, model: str) -> bool:
        """Whether this release is withdrawn. Raises: Unavailable("store-io")."""
        self._look()
        return ("model", model) in self._revoked

    @property
    def erased(self) -> frozenset[str]:
        """The visitors with a tombstone. Raises: Unavailable("store-io")."""
        return frozenset(subject for (subject,) in self._db.rows("SELECT subject FROM tombstones"))

    def is_erased(self, subject: str) -> bool:
        """Whether this visitor has a tombstone. Raises: Unavailable("store-io")."""
        return self._db.row("SELECT 1 FROM tombstones WHERE subject=?", (subject,)) is not None

    def on_denied(self, subject: str, category: str, below: int) -> None:
        """Announce it: the other processes look the visitor up in the table."""
        self._shared_state.announce_denial()

    def on_text_denied(self, digest: str) -> None:
        """Announce it."""
        self._shared_state.announce_denial()

    def on_erased(self, subject: str) -> None:
        """Announce it."""
        self._shared_state.announce(Mark.ERASED)

    def on_revoked(self, kind: str, name: str) -> None:
        """Announce it: the other processes read keys and models again."""
        self._revoked = {*self._revoked, (kind, name)}
        self._shared_state.announce(Mark.KEYS)

    def on_swept(self) -> None:
        """Nothing: a sweep takes no key and no model, and denials are looked up in the table."""

    def _look(self) -> None:
        if self._shared_state.mark(Mark.KEYS) != self._read_at:
            self._load()

    def _load(self) -> None:
        mark = self._shared_state.mark(Mark.KEYS)  # before the table: what comes meanwhile is read next time
        self._revoked = _read_revoked(self._db)
        self._read_at = mark


def _read_revoked(database: Database) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name in database.rows("SELECT kind, name FROM revoked")}


def _keys(revoked: set[tuple[str, str]]) -> frozenset[str]:
    return frozenset(name for kind, name in revoked if kind == "key")
