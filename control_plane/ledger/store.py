"""The ledger's own database: every leaf that was put, its place once it has one, and the signed head.

    store.put([NewLeaf(leaf)], at)                       # counts once, however often it is put
    store.place(head, arranged(waiting, …), root, note, at)   # the next places, if no other sequencer went on meanwhile

Trust in this store: *trusted*. Who writes it can try to fork the ledger; every witness then refuses. It is a database
of its own with a backup of its own, never the consent database: a backup that set back both together would not be
seen. SQLite by default; PostgreSQL where several control planes share one ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from consent_core.crash import crash_point
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.leaf import read_leaf
from consent_core.formats.tlog import EMPTY_ROOT
from control_plane.ledger.beats import DAY_S, PEOPLE, RANKS, Day, Item
from control_plane.ledger.checkpoints import Checkpoints
from control_plane.ledger.facts import Facts
from control_plane.ledger.findings import Findings
from control_plane.ledger.schema import VERSION, bodies, days, entries, head, metadata
from control_plane.ledger.writing import writing
from control_plane.store.database import Database

CHUNK = 500  # keys looked up by one statement

_HEAD = select(head.c.size, head.c.root, head.c.note, head.c.outbox)
_WAITING = select(entries.c.id, entries.c.rank, entries.c.key, entries.c.leaf).where(entries.c.idx.is_(None))
_SPAN = (entries.c.idx >= bindparam("low")) & (entries.c.idx < bindparam("high"))
_LEAVES = select(entries.c.leaf).where(_SPAN).order_by(entries.c.idx)
_OLDEST = select(func.min(entries.c.at)).where(_SPAN)
_PLACE = update(entries).where(entries.c.id == bindparam("row")).values(idx=bindparam("place"))


@dataclass(frozen=True, slots=True)
class NewLeaf:
    """A leaf to put. `body` and `salt`: of a fact alone; what was said of a person lies in the proof store."""

    leaf: bytes
    body: bytes | None = None
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The ledger as committed: `note` is signed by the log alone.

    `outbox`: the highest number of the consent database's outbox that was ever seen.
    """

    size: int
    root: bytes
    note: bytes
    outbox: int


class LedgerStore:
    """One ledger's database: the leaves and the head here; facts, checkpoints and findings have parts of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.facts = Facts(database)
        self.checkpoints = Checkpoints(database)
        self.findings = Findings(database)

    @classmethod
    def open(cls, url: str) -> "LedgerStore":
        """Open or create. Raises: Unavailable("store-unavailable"), also for a store of a later version."""
        store = cls(Database(Database.engine_of(url)))
        with writing(store._database) as connection:
            metadata.create_all(connection)
            version = connection.scalar(select(head.c.version))
            if version is None:
                row = {"id": 1, "version": VERSION, "size": 0, "root": EMPTY_ROOT, "note": b"", "outbox": 0}
                connection.execute(insert(head).values(row))
            elif version != VERSION:
                raise Unavailable("store-unavailable", f"the ledger has version {version}, this program {VERSION}")
        return store

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def head(self) -> Head:
        """The newest committed head."""
        with self._database.read() as connection:
            return Head(*connection.execute(_HEAD).one())

    def put(self, leaves: Sequence[NewLeaf], at: int, outbox: int = 0) -> None:
        """Keep leaves that wait for their places; on the disk when this returns.

        A leaf that is there already counts once. Raises: Untrusted("ledger-conflict") for another leaf of the same
        commitment: nothing of this call is kept then.
        """
        rows = {row["key"]: row for row in (_row(leaf, at) for leaf in leaves)}
        if len({row["leaf"] for row in rows.values()}) != len({leaf.leaf for leaf in leaves}):
            raise _conflict()
        with writing(self._database) as connection:
            known = _known(connection, list(rows))
            if any(rows[key]["leaf"] != leaf for key, leaf in known.items()):
                raise _conflict()
            _add(connection, [row for key, row in rows.items() if key not in known])
            _add_bodies(connection, [leaf for leaf in leaves if leaf.body is not None])
            if outbox:
                connection.execute(update(head).where(head.c.outbox < outbox).values(outbox=outbox))
            crash_point("ledger-put")

    def waiting(self, limit: int) -> list[Item]:
        """Leaves without a place, oldest first."""
        with self._database.read() as connection:
            return [Item(*row) for row in connection.execute(_WAITING.order_by(entries.c.id).limit(limit))]

    def count_waiting(self) -> int:
        """How many leaves have no place yet."""
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).where(entries.c.idx.is_(None))) or 0

    def day_before(self, at: int) -> Day:
        """The newest day before the one of `at` that had beats."""
        asked = select(days.c.beats, days.c.people, days.c.squares).where(days.c.day < at // DAY_S)
        with self._database.read() as connection:
            row = connection.execute(asked.order_by(days.c.day.desc()).limit(1)).one_or_none()
        return Day() if row is None else Day(*row)

    def place(self, before: Head, leaves: Sequence[Item], root: bytes, note: bytes, at: int) -> Head:
        """Give the leaves the next places under a signed head, all or none.

        Raises: Unavailable("ledger-moved") if another sequencer has gone on since `before`.
        """
        size = before.size + len(leaves)
        with writing(self._database) as connection:
            crash_point("ledger-begun")
            moved = update(head).where(head.c.size == before.size, head.c.root == before.root)
            if connection.execute(moved.values(size=size, root=root, note=note)).rowcount != 1:
                raise Unavailable("ledger-moved", "another sequencer has gone on")
            _place(connection, before.size, leaves, at)
            _count_beat(connection, sum(item.rank == PEOPLE and item.row is not None for item in leaves), at)
            crash_point("ledger-before-commit")
        crash_point("ledger-committed")
        return Head(size, root, note, before.outbox)

    def leaves(self, low: int, high: int) -> list[bytes]:
        """The leaves at places `low` until before `high`."""
        with self._database.read() as connection:
            return list(connection.scalars(_LEAVES, {"low": low, "high": high}))

    def placed_below(self, keys: Sequence[bytes], size: int) -> set[bytes]:
        """Which of these keys have a place below `size`."""
        found: set[bytes] = set()
        with self._database.read() as connection:
            for part in _chunks(keys):
                asked = select(entries.c.key).where(entries.c.key.in_(part), entries.c.idx < size)
                found.update(connection.scalars(asked))
        return found

    def oldest_at(self, low: int, high: int) -> int | None:
        """When the oldest leaf of these places was put; None for padding alone."""
        with self._database.read() as connection:
            oldest: int | None = connection.scalar(_OLDEST, {"low": low, "high": high})
        return oldest

    def places(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Where the leaves of these commitments lie, as far as they have a place."""
        found: dict[bytes, int] = {}
        with self._database.read() as connection:
            for part in _chunks(keys):
                asked = select(entries.c.key, entries.c.idx).where(entries.c.key.in_(part), entries.c.idx.is_not(None))
                found.update((row.key, row.idx) for row in connection.execute(asked))
        return found

    def set_outbox(self, number: int) -> None:
        """Go on from another highest number of the outbox: after its database was seen to be set back."""
        with writing(self._database) as connection:
            connection.execute(update(head).values(outbox=number))

    def everything(self) -> Iterator[NewLeaf]:
        """Every leaf, with the body of a fact."""
        asked = select(entries.c.leaf, bodies.c.body, bodies.c.salt).outerjoin_from(
            entries, bodies, bodies.c.key == entries.c.key
        )
        with self._database.read() as connection:
            for row in connection.execute(asked.order_by(entries.c.id)):
                yield NewLeaf(row.leaf, row.body, row.salt)


def _row(new: NewLeaf, at: int) -> dict[str, Any]:
    leaf = read_leaf(new.leaf)
    return {"key": leaf.commitment, "leaf": new.leaf, "rank": RANKS[leaf.kind], "at": at, "idx": None}


def _known(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    known: dict[bytes, bytes] = {}
    for part in _chunks(keys):
        found = connection.execute(select(entries.c.key, entries.c.leaf).where(entries.c.key.in_(part)))
        known.update((row.key, row.leaf) for row in found)
    return known


def _add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(entries), rows)


def _add_bodies(connection: Connection, leaves: Sequence[NewLeaf]) -> None:
    for new in leaves:
        leaf = read_leaf(new.leaf)
        if connection.scalar(select(bodies.c.key).where(bodies.c.key == leaf.commitment)) is None:
            row = {"key": leaf.commitment, "kind": leaf.kind, "n": leaf.n, "body": new.body, "salt": new.salt}
            connection.execute(insert(bodies).values(row))


def _place(connection: Connection, first: int, leaves: Sequence[Item], at: int) -> None:
    numbered = list(enumerate(leaves, start=first))
    placed = [{"row": item.row, "place": n} for n, item in numbered if item.row is not None]
    if placed:
        connection.execute(_PLACE, placed)
    padding = [(n, item) for n, item in numbered if item.row is None]
    _add(
        connection,
        [{"key": item.key, "leaf": item.leaf, "rank": item.rank, "at": at, "idx": n} for n, item in padding],
    )


def _count_beat(connection: Connection, people: int, at: int) -> None:
    today = days.c.day == at // DAY_S
    row = connection.execute(select(days.c.beats, days.c.people, days.c.squares).where(today)).one_or_none()
    day = (Day() if row is None else Day(*row)).with_beat(people)
    values = {"beats": day.beats, "people": day.people, "squares": day.squares}
    if row is None:
        connection.execute(insert(days).values(day=at // DAY_S, **values))
    else:
        connection.execute(update(days).where(today).values(values))


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(keys), CHUNK):
        yield keys[at : at + CHUNK]


def _conflict() -> Untrusted:
    return Untrusted("ledger-conflict", "another leaf has the same commitment")
