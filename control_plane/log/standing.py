"""Whether a log may be believed, and which logs it continues.

serving      it may
rewound      a POP has shown a head, signed by this log's own key, that this store has forgotten: somebody copied an
             older database back. Nothing is recorded or issued until a restore
collecting   a restore is under way: POPs deliver what they kept

A log that took another's place (`log_successions`) tells the readers of the old one where to read on: at the same
number if the entry there is the same, from its start if the entry they stand at was taken over under another number
(`log_points`). A reader whose place is neither is not covered: an operator decides at that POP.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, select, update

from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.formats.log_head import Approval, Head, Succession, claimed_head, open_head
from consent_core.formats.revocation import GENESIS, START, Point, Trust, entry_hash
from control_plane.log.entries import entry_of
from control_plane.store.schema import log, log_head, log_points, log_pruned, log_successions

SERVING, REWOUND, COLLECTING = "serving", "rewound", "collecting"
_WHY = {
    REWOUND: Unavailable("log-rewound", "an older database was copied back: `edge control-plane restore`"),
    COLLECTING: Unavailable("log-collecting", "a restore is under way: POPs deliver what they kept"),
}


@dataclass(frozen=True, slots=True)
class Held:
    """What a poller says of itself: the log it follows, the hash of its last entry, the highest head it was shown."""

    origin: str | None = None
    chain: str | None = None
    shown: bytes | None = None


NOTHING_HELD = Held()


def require_serving(standing: str) -> None:
    """Return if the log may be believed. Raises: Unavailable("log-rewound" | "log-collecting")."""
    if standing in _WHY:
        why = _WHY[standing]
        raise Unavailable(why.code, why.message)


def standing_of(connection: Connection) -> str:
    """How the log stands."""
    standing: str = connection.scalars(select(log_head.c.standing)).one()
    return standing


def set_standing(connection: Connection, standing: str, *, only_from: str | None = None) -> None:
    """Let the log stand otherwise from this transaction's commit on."""
    change = update(log_head).values(standing=standing)
    connection.execute(change if only_from is None else change.where(log_head.c.standing == only_from))


def place(connection: Connection, seq: int) -> Point:
    """A number with the hash of its entry, pruned or not; with that of none for a number that was never given."""
    row = connection.execute(select(log).where(log.c.seq == seq)).one_or_none()
    if row is not None:
        return Point(seq, entry_hash(entry_of(row)))
    return Point(seq, connection.scalar(select(log_pruned.c.chain).where(log_pruned.c.seq == seq)) or GENESIS)


def has_forgotten(connection: Connection, state: Row[tuple[object, ...]], shown: bytes, trust: Trust) -> bool:
    """Whether this store lacks a head that its own key has signed. Who shows rubbish shows nothing."""
    try:
        claimed = claimed_head(shown)
        if _is_known(connection, state, claimed):
            return False
        open_head(shown, trust, frozenset())  # also by a key that was revoked since: it did sign this
    except ConsentEdgeError:
        return False
    return True


def succession(connection: Connection, held: Held, after: int, new_origin: str) -> Succession | None:
    """Where a reader of a log before this one reads on; None if no operator approved it or its place is not covered."""
    row = connection.execute(select(log_successions).where(log_successions.c.old_origin == held.origin)).one_or_none()
    if row is None or held.origin is None or held.chain is None:
        return None
    stands = Point(after, held.chain)
    follow = _follow(connection, stands)
    if follow is None:
        return None
    return Succession(held.origin, stands, new_origin, follow, Approval(row.approver, row.at))


def _follow(connection: Connection, stands: Point) -> Point | None:
    if place(connection, stands.number) == stands:
        return stands
    taken_over = connection.scalar(select(log_points.c.seq).where(log_points.c.chain == stands.chain))
    return START if taken_over == stands.number else None


def _is_known(connection: Connection, state: Row[tuple[object, ...]], head: Head) -> bool:
    """A head of another log says nothing of this one: after a restore POPs still show the old log's."""
    if head.origin != state.origin:
        return True
    return place(connection, head.point.number) == head.point
