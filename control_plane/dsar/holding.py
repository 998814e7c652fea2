"""Holds: somebody forbids, by name, that a person's data goes; then neither a request nor a sweep deletes it.

    hold(connection, request, "Ann, legal")        is_held(connection, handle)        held_requests(connection)

    Remembering(register, proofs, clock)(connection, subject)     # before an operator's purge

A restriction (GDPR Art. 18) is a hold by the person.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from consent_core.clock import Clock
from consent_core.errors import Unavailable
from control_plane.dsar import store
from control_plane.dsar.register import Register
from control_plane.dsar.store import Request
from control_plane.proofs.store import ProofStore

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


@dataclass(frozen=True, slots=True)
class Remembering:
    """Writes down whom a purge erases, so that no restored copy brings them back; a hold forbids it."""

    register: Register
    proofs: ProofStore
    clock: Clock

    def __call__(self, connection: Connection, subject: str) -> None:
        """On the disk when this returns. Raises: Unavailable("request-held")."""
        if subject in self.register.subjects():
            return  # the deletion that a person asked for
        if is_held(connection, self.proofs.handle(subject)):
            raise Unavailable("request-held", "a hold forbids to erase this person's data until it is lifted")
        self.register.add_purge(subject, self.clock.now())
