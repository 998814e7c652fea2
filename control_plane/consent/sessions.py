"""Whose session this is, and what it may still do.

A store has the hashes of a session's two credentials (`consent_core.formats.session`). A session grants and refreshes
until a *successor of it has been presented*: then its browser has the new secret, and who still shows the old one is
told `session-rotated`. It may withdraw for ever, because a "no" must not fail. Presenting a session retires every
session of its visitor but itself and those that came after it.

A *legacy* row (no hash of a withdraw credential) holds the hash of a secret of version 0.1.0. Its secret, presented
once, gives it the new hashes; the old one then opens nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from consent_core.errors import Rejected
from consent_core.formats.consent import bad_request
from consent_core.formats.session import credentials_of, stored
from control_plane.store.schema import sessions, visitors

_COLUMNS = (sessions.c.session, sessions.c.sub, sessions.c.withdraw, sessions.c.presented_at, sessions.c.retired)

# Statements are built once: building one costs more than running it.
_ALIVE = (
    select(*_COLUMNS).join(visitors, visitors.c.sub == sessions.c.sub).where(visitors.c.retain_until > bindparam("now"))
)
_BY_GRANT = _ALIVE.where(sessions.c.session == bindparam("name"))
_BY_WITHDRAW = _ALIVE.where(sessions.c.withdraw.in_(bindparam("names", expanding=True)))
_BY_LEGACY = _ALIVE.where(sessions.c.session.in_(bindparam("names", expanding=True)), sessions.c.withdraw.is_(None))
_OF_VISITOR = select(sessions.c.session, sessions.c.predecessor).where(sessions.c.sub == bindparam("of"))
_OWNER = select(sessions.c.sub).where(sessions.c.session == bindparam("name"))
_ADD = insert(sessions)
_PRESENT = update(sessions).where(sessions.c.session == bindparam("name")).values(presented_at=bindparam("now"))
_RETIRE = update(sessions).where(sessions.c.session == bindparam("name")).values(retired=True)
_ADOPT = (
    update(sessions)
    .where(sessions.c.session == bindparam("old"))
    .values(session=bindparam("new"), withdraw=bindparam("w"))
)
_FOLLOW = update(sessions).where(sessions.c.predecessor == bindparam("old")).values(predecessor=bindparam("new"))


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a visitor who is still known. `legacy`: its row has the old hash."""

    session: str
    sub: str
    presented: bool
    retired: bool
    legacy: bool


@dataclass(frozen=True, slots=True)
class Next:
    """The hashes of the credentials of a session that begins."""

    session: str
    withdraw: str


def find(connection: Connection, grant: str, legacy: str | None, now: int, *, lock: bool = False) -> Session | None:
    """The session of a grant credential, unless it was never issued, was deleted, or its record ran out.

    With `lock` no other transaction can change it or its visitor before this transaction ends.
    Raises: Rejected("bad-request") for a legacy secret that is not this credential's.
    """
    if legacy is not None and credentials_of(legacy.encode("latin-1")).grant != grant:
        raise bad_request("legacy: not the secret of this session")
    found = _one(connection, _BY_GRANT, stored(grant), now, lock)
    if found is not None and not found.legacy:
        return found
    old = None if legacy is None else _one(connection, _BY_GRANT, stored(legacy), now, lock)
    return old if old is not None and old.legacy else None


def owners_by_withdraw(connection: Connection, credentials: Collection[str], now: int) -> dict[str, str]:
    """The visitors whose sessions these credentials withdraw for, by credential; those that there are."""
    names = {stored(credential): credential for credential in credentials}
    found = connection.execute(_BY_WITHDRAW, {"names": list(names), "now": now}) if names else ()
    return {names[row.withdraw]: row.sub for row in found}


def owners_by_legacy(connection: Connection, hashes: Collection[str], now: int) -> dict[str, str]:
    """The visitors of sessions that still are as version 0.1.0 made them, by what it kept of their secrets."""
    found = connection.execute(_BY_LEGACY, {"names": list(hashes), "now": now}) if hashes else ()
    return {row.session: row.sub for row in found}


def require_current(session: Session | None, sub: str | None = None) -> Session:
    """The session if it may act now, for `sub` if one is named.

    Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403), Rejected("session-rotated", 409).
    """
    if session is None:
        raise Rejected("session-unknown", "never issued, or deleted", status=404)
    require_own(session.sub, sub)
    if session.retired:
        raise Rejected("session-rotated", "a later session of this visitor is in use", status=409)
    return session


def require_own(owner: str, sub: str | None) -> None:
    """Raises: Rejected("session-foreign", 403) where another visitor is named."""
    if sub is not None and owner != sub:
        raise Rejected("session-foreign", "the session belongs to somebody else", status=403)


def is_settled(session: Session) -> bool:
    """Whether presenting it again changes nothing: what it retires is retired, and later ones come after it."""
    return session.presented and not session.legacy


def present(connection: Connection, session: Session, legacy: str | None, now: int) -> Session:
    """Note that this session's secret has arrived: what is neither it nor after it may only withdraw from now on."""
    if session.legacy and legacy is not None:
        session = _adopt(connection, session, legacy)
    if not session.presented:
        connection.execute(_PRESENT, {"name": session.session, "now": now})
        _retire(connection, session)
    return replace(session, presented=True)


def add(connection: Connection, following: Next, sub: str, predecessor: str | None, now: int) -> None:
    """A session, not presented yet. Raises: Rejected("session-reused", 409) if there is one of its name."""
    if connection.scalar(_OWNER, {"name": following.session}) is not None:
        raise Rejected("session-reused", "next_session is taken", status=409)
    values = {"session": following.session, "withdraw": following.withdraw, "sub": sub}
    connection.execute(_ADD, {**values, "predecessor": predecessor, "at": now, "retired": False})


def add_again(connection: Connection, following: Next, sub: str, predecessor: str | None, now: int) -> None:
    """As `add`, for a request that came again: its very copy brings the very session. Raises: as `add`."""
    if connection.scalar(_OWNER, {"name": following.session}) != sub:
        add(connection, following, sub, predecessor, now)


def _one(connection: Connection, query: Select[Any], name: str, now: int, lock: bool) -> Session | None:
    row = connection.execute(query.with_for_update() if lock else query, {"name": name, "now": now}).one_or_none()
    if row is None:
        return None
    return Session(row.session, row.sub, row.presented_at is not None, row.retired, row.withdraw is None)


def _adopt(connection: Connection, session: Session, legacy: str) -> Session:
    made = credentials_of(legacy.encode("latin-1"))
    new = stored(made.grant)
    connection.execute(_ADOPT, {"old": session.session, "new": new, "w": stored(made.withdraw)})
    connection.execute(_FOLLOW, {"old": session.session, "new": new})
    return replace(session, session=new, legacy=False)


def _retire(connection: Connection, session: Session) -> None:
    parents = {row.session: row.predecessor for row in connection.execute(_OF_VISITOR, {"of": session.sub})}
    gone = [{"name": name} for name in parents if session.session not in _line(parents, name)]
    if gone:
        connection.execute(_RETIRE, gone)


def _line(parents: dict[str, str | None], name: str | None) -> Iterable[str]:
    """A session and everything before it."""
    while name is not None:
        yield name
        name = parents.get(name)
