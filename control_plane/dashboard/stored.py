"""The control plane's own part of the dashboard, read from its store when somebody looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.app import ControlPlane
from control_plane.dsar import store


@dataclass(frozen=True, slots=True)
class Stored:
    """`pops`: their reports, by name. `closed_s`: how long each fulfilled request took. Times are Unix seconds."""

    now: int
    policy: str
    pops: Mapping[str, Mapping[str, Any]]
    open_requests: int
    oldest_open_s: int
    closed_s: tuple[int, ...]
    budget_spent: Mapping[str, float]
    ledger_size: int
    ledger_published: int
    unwitnessed_s: int


def stored_of(plane: ControlPlane) -> Stored:
    """How things stand now. Raises: Unavailable("store-unavailable")."""
    now, progress = plane.settings.clock.now(), plane.ledger.sequencer.progress
    statuses = plane.pops.statuses()
    with plane.database.read() as connection:
        requests = store.all_of(connection)
    active = [request.received_at for request in requests if request.state in store.ACTIVE]
    closed = (r.closed_at - r.received_at for r in requests if r.state == store.FULFILLED and r.closed_at)
    since = progress.unwitnessed_since
    return Stored(
        now=now,
        policy=statuses["policy_hash"] or "",
        pops={report["pop"]: report for report in statuses["pops"]},
        open_requests=len(active),
        oldest_open_s=now - min(active, default=now),
        closed_s=tuple(sorted(closed)),
        budget_spent=plane.federated.spent(now),
        ledger_size=progress.size,
        ledger_published=progress.published,
        unwitnessed_s=0 if since is None else now - since,
    )
