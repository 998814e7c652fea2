"""Which clicks of a visitor were counted, so that a copy of one counts once, however late and wherever it arrives.

A "no" is remembered by category: the cookie that brings it to another POP may by then name fewer of them.
"""

import json
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, exists, insert, select, update

from consent_core.formats.token import CATEGORIES
from control_plane.store.schema import changes, sessions, visitors

YES, NO = "grant", "withdrawal"

Click = tuple[str, str]  # whose it is (`sub`), and its idempotency key

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


def of_clicks(connection: Connection, kind: str, clicks: Collection[Click]) -> dict[Click, tuple[str, ...]]:
    """What each of these clicks has changed; one that has not come before is absent.

    One look-up each: no form of a query for many pairs uses the index on both databases.
    """
    found = {click: categories_of(connection, click[0], kind, click[1]) for click in clicks}
    return {click: categories for click, categories in found.items() if categories is not None}


def remember(connection: Connection, sub: str, kind: str, key: str, categories: Iterable[str], at: int) -> None:
    """Note that this click changed these categories."""
    before = of_clicks(connection, kind, [(sub, key)])
    remember_all(connection, kind, before, {(sub, key): (*before.get((sub, key), ()), *categories)}, at)


def remember_all(
    connection: Connection,
    kind: str,
    before: Mapping[Click, tuple[str, ...]],
    after: Mapping[Click, tuple[str, ...]],
    at: int,
) -> None:
    """Note what each click of `after` has changed by now. `before`: those of them that were noted, as `of_clicks`."""
    named = {click: json.dumps([c for c in CATEGORIES if c in categories]) for click, categories in after.items()}
    new = [
        {"sub": sub, "kind": kind, "key": key, "categories": text, "at": at}
        for (sub, key), text in named.items()
        if (sub, key) not in before
    ]
    more = [
        {"of": sub, "which": kind, "click": key, "named": text}
        for (sub, key), text in named.items()
        if (sub, key) in before
    ]
    for statement, rows in ((_ADD, new), (_CHANGE, more)):
        if rows:
            connection.execute(statement, rows)


def first_yes(connection: Connection, key: str, now: int) -> str | None:
    """The visitor whom a first yes of this key made, while none of their sessions was presented.

    Until then the key is a credential: it is all that a browser has whose answer was lost.
    """
    found: str | None = connection.scalar(_FIRST, {"click": key, "now": now})
    return found
