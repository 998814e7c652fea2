"""`/v1/attesters` and `/v1/attestations`: a workload's own key, and what it attests with it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from consent_core.errors import Rejected
from consent_core.formats.attester import (
    MAX_BODY_BYTES,
    read_lines,
    read_request,
    write_answer,
    write_intake,
)
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import bad_request
from consent_core.formats.fields import Fields
from consent_core.trust.spiffe import SpiffeId
from control_plane.api.http import body_reader, json_answer, parsed
from control_plane.attesters.overview import overview
from control_plane.attesters.room import Attesters


def attester_routes(attesters: Attesters, max_body_bytes: int) -> APIRouter:
    """The routes over one store. Both are about the caller alone, whose name the mesh guard knows."""
    router = APIRouter(tags=["attesters"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one
    Lines = Annotated[bytes, Depends(body_reader(MAX_BODY_BYTES))]  # noqa: N806

    @router.post("/v1/attesters")
    def endorse(request: Request, body: Body) -> Response:
        """Endorse the caller's own key; the same key again gives the same endorsement."""
        return json_answer(write_answer(attesters.endorsing.endorse(str(_caller(request)), read_request(body))))

    @router.post("/v1/attestations")
    def attest(request: Request, body: Lines) -> Response:
        """Take the caller's own attestations and statements, in order, up to the first that is refused."""
        return json_answer(write_intake(attesters.intake.take(str(_caller(request)), read_lines(body))))

    @router.get("/v1/attesters")
    def places() -> Response:
        """Every place: its key, its newest attestation, its gaps."""
        endorsing = attesters.endorsing
        return json_answer(canonical_json(overview(endorsing.database, endorsing.clock.now())))

    @router.post("/v1/attesters/retired")
    def retire(body: Body) -> Response:
        """`{"place"}` → `{"list"}`: the place is off the public list, once it has said that it stopped."""
        place = Fields(parsed(body), bad_request, ("place",)).text("place", 160)
        return json_answer(canonical_json({"list": attesters.endorsing.retire(place)}))

    return router


def _caller(request: Request) -> SpiffeId:
    peer: SpiffeId | None = request.scope.get("state", {}).get("peer")
    if peer is None:
        raise Rejected("no-certificate", "a workload attests under its own name", status=401)
    return peer
