"""Holds: somebody forbids, by name, that a person's data goes; then neither a request nor a sweep deletes it.

    hold(connection, request, "Ann, legal")        is_held(connection, handle)        held_requests(connection)

A restriction (GDPR Art. 18) is a hold by the person.
"""

from sqlalchemy import Connection

from control_plane.dsar import store
from control_plane.dsar.store import Request

RESTRICTION = "restriction"


def hold(connection: Connection, request: str, by: str) -> None:
    """Forbid; "" lifts it."""
    store.change(connection, request, held_by=by)


def is_held(connection: Connection, handle: str) -> bool:
    """Whether anything forbids that this person's data goes."""
    return handle in {request.handle for request in held_requests(connection)}


def held_requests(connection: Connection) -> list[Request]:
    """The requests by which somebody's data stays."""
    states = (*store.ACTIVE, store.FULFILLED)
    return [request for request in store.all_of(connection, states) if request.held_by]
