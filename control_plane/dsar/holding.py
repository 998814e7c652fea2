"""Holds: somebody forbids, by name, that a person's data goes; then neither a request nor a sweep deletes it.

    hold(connection, request, "Ann, legal")        is_held(connection, handle)        held_requests(connection)

    purges.permit(connection, subject); purges.remember(entry)    # an operator's purge

A restriction (GDPR Art. 18) is a hold by the person.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from consent_core.errors import Unavailable
from consent_core.formats.revocation import Entry
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
class Purges:
    """What an operator's purge asks and leaves here. A hold forbids it; the register remembers it."""

    register: Register
    proofs: ProofStore

    def permit(self, connection: Connection, subject: str) -> None:
        """Raises: Unavailable("request-held"), unless the person's own deletion is past its point of no return."""
        if is_held(connection, self.proofs.handle(subject)) and subject not in self.register.subjects():
            raise Unavailable("request-held", "a hold forbids to erase this person's data until it is lifted")

    def remember(self, entry: Entry) -> None:
        """On the disk when this returns; a person once."""
        self.remember_all([entry])

    def remember_all(self, entries: Iterable[Entry]) -> None:
        """The same of each: at a start of all that the log has, since a kill may come between log and register."""
        known = self.register.subjects()
        for entry in entries:
            if entry.subject not in known:
                self.register.add_purge(entry.subject, entry.at)
