"""`GET /v1/visitors/{subject}`: the history of one visitor's record, for an operator."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from consent_core.audit.recording import current_context
from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from control_plane.api.http import json_answer
from control_plane.consent import records
from control_plane.consent.records import Record
from control_plane.store.database import Database

Subject = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="the visitor's name in the log and in receipts")]


def visitor_routes(database: Database) -> APIRouter:
    """The route over one store."""
    router = APIRouter(tags=["consent"])

    @router.get("/v1/visitors/{subject}")
    def show(subject: Subject) -> Response:
        """Every version, oldest first, with its receipt as it was given. The audit trail says who looked at whom."""
        with database.read() as connection:
            sub = records.sub_of(connection, subject)
            versions = () if sub is None else records.history(connection, sub)
        if sub is None:
            raise Rejected("visitor-unknown", "no such visitor, or erased", status=404)
        current_context().about(subject, (("sub", sub),))
        return json_answer(canonical_json({"sub": sub, "subject": subject, "versions": [_told(v) for v in versions]}))

    return router


def _told(version: Record) -> dict[str, Any]:
    return {
        "ver": version.ver,
        "at": version.at,
        "source": version.source,
        "basis": version.basis,
        "choices": list(version.choices),
        "effective": list(version.categories),
        "reasons": dict(version.reasons),
        "jurisdiction": version.jurisdiction,
        "age_band": version.age_band,
        "gpc": version.gpc,
        "pop": version.region,
        "policy": version.policy_hash,
        "notice": dict(version.notice),
        "receipt": version.receipt,
    }
