"""`POST /v1/evidence`: the evidence file of one person, for an operator."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from consent_core.evidence.pack import QUESTIONS
from consent_core.formats.consent import MAX_BODY_BYTES, bad_request
from consent_core.formats.fields import Fields
from control_plane.api.http import body_reader, parsed
from control_plane.evidence.packing import Packing

TYPE = "application/vnd.consent-edge.evidence+json"

_PERSON = re.compile(r"[0-9a-f]{64}")


def evidence_routes(packing: Packing) -> APIRouter:
    """The route over one store."""
    router = APIRouter(tags=["evidence"])
    Body = Annotated[bytes, Depends(body_reader(MAX_BODY_BYTES))]  # noqa: N806  # a type, named as one

    @router.post("/v1/evidence")
    def evidence(body: Body) -> Response:
        """`{"subject", "question"}` → the signed file."""
        fields = Fields(parsed(body), bad_request, ("subject", "question"))
        subject, question = fields.matching("subject", _PERSON), fields.one_of("question", QUESTIONS)
        return Response(packing.pack(subject, question), 200, {"cache-control": "no-store"}, media_type=TYPE)

    return router
