"""The revocation log: append in the transaction that causes the entry, answer polls, prune what no token can need.

    with log.writing() as writing:
        writing.connection.execute(...)                       # the record
        writing.append("session", subject, categories, ver)   # and its entry, or neither

The number is taken by raising the one `log_head` row, which stays locked until the transaction ends: numbers have
no gap, who sees number n sees every lower one, and each entry names the hash of the one before it. A pruned entry
leaves its number and its hash.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import RETENTION_S
from consent_core.formats.log_head import sign_succession
from consent_core.formats.revocation import (
    EFFECTS,
    MAX_ENTRIES,
    START,
    Entry,
    Point,
    entry_hash,
    sign_answer,
    sign_snapshot,
)
from consent_core.formats.token import CATEGORIES, MAX_LIFETIME_S
from consent_core.trust.keys import KeyStore
from control_plane.ledger.entries import Leaves, NoLeaves
from control_plane.log import standing
from control_plane.log.entries import entry_of, new_salt, row_of
from control_plane.log.hints import Hints
from control_plane.log.standing import NOTHING_HELD, Held
from control_plane.store.database import Database
from control_plane.store.schema import erasures, log, log_head, log_pruned, purge_receipts

# A token older than this cannot be valid, so no POP needs an entry against it ...
TOKENS_GONE_S = 2 * MAX_LIFETIME_S
# ... but a POP that was cut off, or restored from a backup, may still hold history that the entry deletes.
ROWS_GONE_S = max(RETENTION_S.values()) + TOKENS_GONE_S
# No backup and no trail key of a POP is older than this: a purge has nothing left to erase again.
PURGES_GONE_S = 400 * 86_400

KEYS_AGE_S = 1.0

# Statements are built once: building one costs more than running it.
_RAISE_HEAD = (
    update(log_head).values(head=log_head.c.head + bindparam("by")).returning(log_head.c.head, log_head.c.chain)
)
_LINK = update(log_head).values(chain=bindparam("link"))
_ADD = insert(log)
_STATE = select(log_head)
_FOLLOWING = select(log).where(log.c.seq > bindparam("after")).order_by(log.c.seq).limit(bindparam("most"))
_SURVIVING = select(log).where(log.c.seq <= bindparam("through")).order_by(log.c.seq)


@dataclass(frozen=True, slots=True)
class Reply:
    """A signed body with its HTTP status.

    200: an answer. 409: one that says less than the poller has seen or that is of another log than the poller's, or a
    succession that covers the poller. 410: a snapshot for who asked for pruned entries. 423, not signed: a restore is
    under way, the poller is to deliver what it kept.
    """

    status: int
    body: bytes

    @property
    def is_snapshot(self) -> bool:
        """Whether the entries asked for are pruned."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry without its place in the log. said: the number of the no."""

    kind: str
    subject: str
    categories: tuple[str, ...] = ()
    ver: int = 0
    said: int = 0


class Writing:
    """One transaction that may add entries. `appended` is the last one's number, 0 if there is none."""

    def __init__(self, connection: Connection, clock: Clock, leaves: Leaves) -> None:
        self.connection = connection
        self.leaves = leaves
        self.appended = 0
        self._clock = clock

    def lock(self) -> None:
        """Let no other process append before this transaction ends: what is looked up in the log now stays true."""
        self.connection.execute(select(log_head.c.head).with_for_update())

    def append(self, kind: str, subject: str, categories: tuple[str, ...] = (), ver: int = 0, said: int = 0) -> Entry:
        """Add one entry; `said`: the number of the no. Everybody else who appends waits until this transaction ends."""
        (entry,) = self.append_all([Draft(kind, subject, categories, ver, said)])
        return entry

    def append_all(self, drafts: Sequence[Draft]) -> tuple[Entry, ...]:
        """Add entries in this order: their numbers are taken at once."""
        if not drafts:
            return ()
        head, chain = self.connection.execute(_RAISE_HEAD, {"by": len(drafts)}).one()
        crash_point("log.after-number")
        entries = tuple(_linked(drafts, Point(head - len(drafts), chain), self._clock.now()))
        self.connection.execute(_ADD, [row_of(entry) for entry in entries])
        self.connection.execute(_LINK, {"link": entry_hash(entries[-1])})
        self.leaves.revocations(self.connection, [entry for entry in entries if entry.categories])
        self.appended = head
        crash_point("log.after-entry")
        return entries


def _linked(drafts: Iterable[Draft], last: Point, now: int) -> Iterator[Entry]:
    """Each draft as the entry after `last` and the ones before it."""
    for draft in drafts:
        categories = tuple(category for category in CATEGORIES if category in draft.categories)
        bounds = (draft.ver, draft.said, now, EFFECTS[draft.kind])
        entry = Entry(last.number + 1, last.chain, new_salt(), draft.kind, draft.subject, categories, *bounds)
        yield entry
        last = Point(entry.seq, entry_hash(entry))


class RevocationLog:
    """The log of one store. `_revoked_keys` and `_standing` are replaced whole: when read, and what."""

    def __init__(
        self,
        database: Database,
        keys: KeyStore,
        clock: Clock,
        kept_s: int = ROWS_GONE_S,
        purge_kept_s: int = PURGES_GONE_S,
        leaves: Leaves | None = None,
    ) -> None:
        if kept_s < TOKENS_GONE_S:
            raise ValueError(f"session entries are kept at least {TOKENS_GONE_S} s: two token lifetimes")
        self._database = database
        self._keys = keys
        self._clock = clock
        self._kept_s = {"session": kept_s, "purge": max(kept_s, purge_kept_s)}
        self._leaves = leaves or NoLeaves()
        self.hints = Hints(self.head)
        self._revoked_keys: tuple[float, frozenset[str]] | None = None
        self._standing: tuple[float, str] | None = None

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction of the store; its entries are announced once it is committed.

        Raises: Unavailable("log-rewound" | "log-collecting"): nothing may be recorded that a restore would lose.
        """
        with self._writing(standing.SERVING) as writing:
            yield writing

    @contextmanager
    def restoring(self) -> Iterator[Writing]:
        """The one transaction that ends a restore: what it writes, and the log's new standing, or nothing."""
        with self._writing(standing.COLLECTING) as writing:
            yield writing
            standing.set_standing(writing.connection, standing.SERVING)
            crash_point("restore.before-commit")
        self.stands_otherwise()

    @contextmanager
    def _writing(self, wanted: str) -> Iterator[Writing]:
        with self._database.write() as connection:
            if (stands := standing.standing_of(connection)) != wanted:
                standing.require_serving(stands)
                raise RuntimeError("no restore is under way")
            writing = Writing(connection, self._clock, self._leaves)
            yield writing
            crash_point("log.before-commit")
        if writing.appended:
            crash_point("log.after-commit")
            self._revoked_keys = None
            self.hints.announce(writing.appended)

    def reading(self) -> AbstractContextManager[Connection]:
        """One consistent view of the store."""
        return self._database.read()

    def head(self) -> int:
        """The highest number."""
        with self._database.read() as connection:
            head: int = connection.scalars(select(log_head.c.head)).one()
        return head

    def reply(self, after: int, nonce: str, limit: int = MAX_ENTRIES, held: Held = NOTHING_HELD) -> Reply:
        """The signed answer to a poll: entries from `after` + 1 on, or a snapshot if those are pruned.

        A poller that has seen what this log never said learns that from the head, which is signed too; one that reads
        a log which this one continues, where to read on.

        Raises: Unavailable("log-rewound") for who could not see that by itself.
        """
        with self._database.read() as connection:
            state = connection.execute(_STATE).one()
            if state.standing == standing.COLLECTING:
                return Reply(423, _collecting(state.origin))
            forgotten = held.shown is not None and self._has_forgotten(connection, state, held.shown)
            if held.origin not in (None, state.origin):
                return self._of_another(connection, state, held, after, nonce)
            entries = _entries(connection, after, state, limit)
            pruned = after < state.through
            here = standing.place(connection, after) if pruned or held.chain is not None else START
            through = standing.place(connection, state.through) if pruned else START
        if forgotten:
            self._note_rewound()
        sees_it = after > state.head or held.chain not in (None, here.chain)
        if not sees_it:
            standing.require_serving(standing.REWOUND if forgotten else state.standing)
        now, signer, head = self._clock.now(), self._keys.current("log"), Point(state.head, state.chain)
        if pruned:
            return Reply(410, sign_snapshot(entries, here, through, head, state.origin, nonce, now, signer))
        return Reply(409 if after > state.head else 200, sign_answer(entries, head, state.origin, nonce, now, signer))

    def standing(self) -> str:
        """How this log stands; at most `KEYS_AGE_S` behind another process's word."""
        known, now = self._standing, self._clock.elapsed()
        if known is None or now - known[0] > KEYS_AGE_S:
            with self._database.read() as connection:
                known = self._standing = (now, standing.standing_of(connection))
        return known[1]

    def require_serving(self) -> None:
        """Return if the log may be believed. Raises: Unavailable("log-rewound" | "log-collecting")."""
        standing.require_serving(self.standing())

    def stands_otherwise(self) -> None:
        """The store says something new of how it stands."""
        self._standing = None

    def _has_forgotten(self, connection: Connection, state: Row[tuple[object, ...]], shown: bytes) -> bool:
        return standing.has_forgotten(connection, state, shown, self._keys.trust_file())

    def _note_rewound(self) -> None:
        """What was forgotten stays forgotten: only a restore ends this."""
        with self._database.write() as connection:
            standing.set_standing(connection, standing.REWOUND, only_from=standing.SERVING)
        self.stands_otherwise()

    def _of_another(
        self, connection: Connection, state: Row[tuple[Any, ...]], held: Held, after: int, nonce: str
    ) -> Reply:
        """To who reads another log: its succession if this POP's place is covered, else this log's own head."""
        standing.require_serving(state.standing)
        now, signer = self._clock.now(), self._keys.current("log")
        following = standing.succession(connection, held, after, state.origin)
        if following is not None:
            return Reply(409, sign_succession(following, nonce, now, signer))
        head = Point(state.head, state.chain)
        return Reply(409, sign_answer((), head, state.origin, nonce, now, signer))

    def prune(self) -> int:
        """Delete entries about people that can no longer matter, all but number and hash; how many went.

        `key` and `model` stay for good.
        """
        now = self._clock.now()
        old = or_(*(((log.c.kind == kind) & (log.c.at < now - kept_s)) for kind, kept_s in self._kept_s.items()))
        with self._database.write() as connection:
            last = connection.scalar(select(func.max(log.c.seq)).where(old))
            if last is None:
                return 0
            through = connection.scalars(select(log_head.c.through)).one()
            connection.execute(update(log_head).values(through=max(last, through)))
            crash_point("log.prune-marked")
            gone = [entry_of(row) for row in connection.execute(select(log).where(old))]
            connection.execute(insert(log_pruned), [{"seq": e.seq, "chain": entry_hash(e)} for e in gone])
            for told in (erasures, purge_receipts):  # what places said of purges that are gone
                connection.execute(delete(told).where(told.c.seq.in_(select(log.c.seq).where(old))))
            return connection.execute(delete(log).where(old)).rowcount

    def entry(self, seq: int) -> Entry:
        """One entry. Raises: Rejected("entry-unknown", 404)."""
        with self._database.read() as connection:
            row = connection.execute(select(log).where(log.c.seq == seq)).one_or_none()
        if row is None:
            raise Rejected("entry-unknown", "no such entry, or it is pruned", status=404)
        return entry_of(row)

    def purged(self, after: int) -> list[tuple[int, str]]:
        """Sequence and subject of every purge after `after`, in order."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(log.c.seq, log.c.subject).where(log.c.kind == "purge", log.c.seq > after).order_by(log.c.seq)
            )
            return [(row.seq, row.subject) for row in rows]

    def revoked_keys(self) -> frozenset[str]:
        """Every revoked key id, SPIFFE id and certificate; at most `KEYS_AGE_S` behind another process's word."""
        known, now = self._revoked_keys, self._clock.elapsed()
        if known is None or now - known[0] > KEYS_AGE_S:
            with self._database.read() as connection:
                names = frozenset(connection.execute(select(log.c.subject).where(log.c.kind == "key")).scalars())
            known = self._revoked_keys = (now, names)
        return known[1]


def _collecting(origin: str) -> bytes:
    error = {"code": "log-collecting", "message": "a restore is under way: deliver what was kept"}
    return canonical_json({"error": error, "origin": origin})


def last_entry(connection: Connection, kind: str, subject: str) -> Entry | None:
    """The newest entry of a kind about a subject."""
    mine = select(log).where(log.c.kind == kind, log.c.subject == subject).order_by(log.c.seq.desc()).limit(1)
    row = connection.execute(mine).one_or_none()
    return None if row is None else entry_of(row)


def _entries(connection: Connection, after: int, state: Row[tuple[int, ...]], limit: int) -> list[Entry]:
    """What follows `after`; for who asks below `through`, everything up to there that is still in force."""
    if after < state.through:
        rows = connection.execute(_SURVIVING, {"through": state.through})
    else:
        rows = connection.execute(_FOLLOWING, {"after": after, "most": limit})
    return [entry_of(row) for row in rows]
