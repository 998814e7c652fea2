"""The numbered public list of who must attest, made anew at each change.

    listing.join(connection, "edge/tokyo-1", at)      # in the transaction that endorses its first key

Names of workloads only. Its leaf is the list's own digest, so anybody can open it: `GET /ledger/attesters/{n}`.
"""

import json
from collections.abc import Iterable

from sqlalchemy import Connection

from consent_core.evidence.bodies import AttesterList, attesters_body, read_attesters
from control_plane.attesters import facts
from control_plane.attesters.facts import PUBLIC, Fact


def current(connection: Connection) -> AttesterList | None:
    """The list in force; None before the first."""
    fact = facts.newest(connection, PUBLIC)
    return None if fact is None else read_attesters(json.loads(fact.body))


def join(connection: Connection, place: str, at: int) -> None:
    """Add a place; one that is on the list already changes nothing."""
    listed = current(connection)
    places = () if listed is None else listed.places
    if place not in places:
        _next(connection, listed, {*places, place}, at)


def leave(connection: Connection, place: str, at: int) -> int:
    """Take a place off that is on the list. Returns: the number of the list without it."""
    listed = current(connection)
    places = () if listed is None else listed.places
    return _next(connection, listed, set(places) - {place}, at)


def _next(connection: Connection, before: AttesterList | None, places: Iterable[str], at: int) -> int:
    n = 1 if before is None else before.n + 1
    portable = () if before is None else before.portable
    body = attesters_body(AttesterList(n, at, tuple(sorted(places)), portable))
    facts.put(connection, Fact.of(PUBLIC, f"{n}", body, n=n), at)
    return n
