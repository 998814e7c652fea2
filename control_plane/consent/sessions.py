"""Whose cookie secret this is. The control plane knows a secret by its SHA-256 alone.

A session is *current* until the next grant rotates it: its `successor` is then the only one that may grant or
refresh. Who still holds the old one is told `session-rotated`; it may still withdraw, because a "no" must not fail.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from consent_core.errors import Rejected
from control_plane.store.schema import sessions, visitors

ANSWER_LOST_S = 60  # a browser that still shows the old cookie by then never got the new one

# Statements are built once: building one costs more than running it.
_FIND = (
    select(sessions.c.session, sessions.c.sub, sessions.c.predecessor, sessions.c.successor)
    .join(visitors, visitors.c.sub == sessions.c.sub)
    .where(sessions.c.session == bindparam("session"), visitors.c.retain_until > bindparam("now"))
)
_FIND_AND_LOCK = _FIND.with_for_update()
_ROTATE = update(sessions).where(sessions.c.session == bindparam("old")).values(successor=bindparam("new"))
_ADD = insert(sessions)
_SINCE = select(sessions.c.at).where(sessions.c.session == bindparam("session"))


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a visitor who is still known."""

    session: str
    sub: str
    predecessor: str | None
    successor: str | None


def find(connection: Connection, session: str, now: int, *, lock: bool) -> Session | None:
    """The session, unless it was never issued, was deleted, or its record ran out.

    With `lock` nobody else can rotate it, or change its visitor, before this transaction ends.
    """
    query = _FIND_AND_LOCK if lock else _FIND
    row = connection.execute(query, {"session": session, "now": now}).one_or_none()
    return None if row is None else Session(*row)


def require_current(session: Session | None, sub: str | None = None) -> Session:
    """The session if it may act now, for `sub` if one is named.

    Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403), Rejected("session-rotated", 409).
    """
    session = require_owner(session, sub)
    if session.successor is not None:
        raise Rejected("session-rotated", "a later grant has replaced this session", status=409)
    return session


def require_owner(session: Session | None, sub: str | None = None) -> Session:
    """The session if it is known and, where `sub` is named, this visitor's.

    Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403).
    """
    if session is None:
        raise Rejected("session-unknown", "never issued, or deleted", status=404)
    if sub is not None and session.sub != sub:
        raise Rejected("session-foreign", "the session belongs to somebody else", status=403)
    return session


def is_stranded(connection: Connection, session: Session, now: int) -> bool:
    """Whether whoever holds this session was rotated away so long ago that the answer with the next one was lost.

    They may begin a new identity. The record stays with the successor, which is all that keeps a planted or stolen
    old cookie harmless.
    """
    if session.successor is None:
        return False
    since: int | None = connection.scalar(_SINCE, {"session": session.successor})
    return since is not None and now - since >= ANSWER_LOST_S


def rotate(connection: Connection, old: str | None, new: str, sub: str, now: int) -> None:
    """Make `new` the visitor's current session in place of `old`."""
    if old is not None:
        connection.execute(_ROTATE, {"old": old, "new": new})
    connection.execute(_ADD, {"session": new, "sub": sub, "predecessor": old, "at": now})
