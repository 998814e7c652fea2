"""The first step of a restore: the store's log gets another name, and what is to be waited for is written down."""

import secrets
from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from consent_core.errors import Rejected
from consent_core.formats.token import encode_base64url
from control_plane.log.standing import COLLECTING
from control_plane.store.schema import log_head, log_successions, pops, restore_material, restore_pops


def begin(connection: Connection, *, also: Collection[str], without: Collection[str], approver: str, now: int) -> str:
    """Give the log a new origin and ask the POPs that it knows, and `also` these, for what they kept.

    without: POPs that are gone. approver: who decided that this store takes the other one's place.
    Returns: the new origin.  Raises: Rejected("pop-unknown") if one of `without` was not to be expected.
    """
    known = {*connection.scalars(select(pops.c.pop)), *also}
    if strangers := sorted(set(without) - known):
        raise Rejected("pop-unknown", f"no POP of that name has reported: {', '.join(strangers)}", status=404)
    old = connection.scalars(select(log_head.c.origin)).one()
    origin = encode_base64url(secrets.token_bytes(16))
    connection.execute(delete(restore_pops))
    connection.execute(delete(restore_material))
    for pop in sorted(known - set(without)):
        connection.execute(insert(restore_pops).values(pop=pop, delivered_at=None))
    connection.execute(delete(log_successions).where(log_successions.c.old_origin == old))
    connection.execute(insert(log_successions).values(old_origin=old, approver=approver, at=now))
    connection.execute(update(log_head).values(origin=origin, standing=COLLECTING))
    return origin


def waited_for(connection: Connection) -> tuple[str, ...]:
    """The POPs that have not delivered yet."""
    return tuple(
        connection.scalars(
            select(restore_pops.c.pop).where(restore_pops.c.delivered_at.is_(None)).order_by(restore_pops.c.pop)
        )
    )
