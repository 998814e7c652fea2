"""What is said of a request: its record for the ledger and the file, and what the asker and an operator read."""

from collections.abc import Mapping, Sequence
from typing import Any

from control_plane.dsar.deadlines import Deadlines
from control_plane.dsar.store import ACTIVE, WAITING, Request, StepRow

PATIENCE_S = 3_600  # a party that owes for longer is named, with an alarm


def record_of(request: Request, rows: Sequence[StepRow], now: int) -> dict[str, Any]:
    """The record as it is now; who asked is not in it."""
    steps = [{"step": row.step, "party": row.party, "state": row.state} for row in rows]
    names = ("id", "kind", "jurisdiction", "received_at", "confirmed_at", "due_at", "binding", "verified_by", "state")
    return {**{name: getattr(request, name) for name in names}, "at": now, "steps": steps}


def status_of(request: Request, rows: Sequence[StepRow], deadlines: Deadlines, now: int) -> dict[str, Any]:
    """What the asker and an operator read."""
    owed = [row for row in rows if not row.done and row.party not in ("request", "none")]
    late = [row for row in owed if now - row.since > PATIENCE_S]
    due = deadlines.due(request.jurisdiction, request.kind, request.received_at)
    active = request.state in ACTIVE
    alarms = deadlines.alarms(request.confirmed_at, request.received_at, request.due_at, now) if active else ()
    return {
        **record_of(request, rows, now),
        "reason": request.reason,
        "partial": active and bool(late),
        "processing_details": [f"{row.step}: {row.party}" for row in owed],
        "trouble": request.trouble,
        "alarms": [*alarms, *(f"owed: {row.step} of {row.party}" for row in (late if active else ()))],
        "held_by": request.held_by,
        "waits_until": request.confirmed_at if request.state == WAITING else None,
        "target_at": deadlines.target(request.confirmed_at),
        "due_source": due.source,
        "closed_at": request.closed_at,
        "evidence_sha256": request.evidence_sha256,
        "amended": list(request.amended),
    }


def results_of(rows: Sequence[StepRow]) -> list[Mapping[str, Any]]:
    """Each step with what shows that it is done, for an operator."""
    return [
        {"step": row.step, "party": row.party, "state": row.state, "result": dict(row.result), "done_at": row.done_at}
        for row in rows
    ]
