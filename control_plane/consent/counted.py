"""Which clicks of a visitor were counted, so that a copy of one counts once, however late and wherever it arrives.

A "no" is remembered by category: the cookie that brings it to another POP may by then name fewer of them.
"""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, exists, insert, select, update

from consent_core.formats.token import CATEGORIES
from control_plane.store.schema import changes, sessions, visitors

YES, NO = "grant", "withdrawal"

_MINE = (
    (changes.c.sub == bindparam("of")) & (changes.c.kind == bindparam("which")) & (changes.c.key == bindparam("click"))
)
_FIND = select(changes.c.categories).where(_MINE)
_ADD = insert(changes)
_CHANGE = update(changes).where(_MINE).values(categories=bindparam("named"))
_FIRST = (
    select(changes.c.sub)
    .join(visitors, visitors.c.sub == changes.c.sub)
    .where(changes.c.kind == YES, changes.c.key == bindparam("click"), visitors.c.retain_until > bindparam("now"))
    .where(~exists().where(sessions.c.sub == changes.c.sub, sessions.c.presented_at.is_not(None)))
    .order_by(changes.c.at.desc())
    .limit(1)
)


def categories_of(connection: Connection, sub: str, kind: str, key: str) -> tuple[str, ...] | None:
    """What this click of this visitor has changed; None if it has not come before."""
    found = connection.scalar(_FIND, {"of": sub, "which": kind, "click": key})
    return None if found is None else tuple(json.loads(found))


def remember(connection: Connection, sub: str, kind: str, key: str, categories: Iterable[str], at: int) -> None:
    """Note that this click changed these categories."""
    before = categories_of(connection, sub, kind, key)
    named = json.dumps([c for c in CATEGORIES if c in {*(before or ()), *categories}])
    if before is None:
        connection.execute(_ADD, {"sub": sub, "kind": kind, "key": key, "categories": named, "at": at})
    else:
        connection.execute(_CHANGE, {"of": sub, "which": kind, "click": key, "named": named})


def first_yes(connection: Connection, key: str, now: int) -> str | None:
    """The visitor whom a first yes of this key made, while none of their sessions was presented.

    Until then the key is a credential: it is all that a browser has whose answer was lost.
    """
    found: str | None = connection.scalar(_FIRST, {"click": key, "now": now})
    return found
