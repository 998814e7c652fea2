"""`/federated-updates` and `/v1/rounds`: what places measured, and how each week stands."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from consent_core.formats.update import MAX_UPDATE_BYTES
from consent_core.trust.mesh import peer_certificate
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_key import SvidKey
from control_plane.api.http import body_reader, json_answer
from control_plane.federated.room import Federated


def federated_routes(federated: Federated) -> APIRouter:
    """The routes over one room."""
    router = APIRouter(tags=["learning"])
    Body = Annotated[bytes, Depends(body_reader(MAX_UPDATE_BYTES))]  # noqa: N806  # a type, named as one

    @router.post("/federated-updates")
    def submit(request: Request, body: Body) -> Response:
        """Take the caller's own update; the same again gives the same answer."""
        caller, key = _caller(request), SvidKey.of(peer_certificate(request.scope))
        return json_answer(canonical_json(federated.intake.take(caller, key, body).to_json()))

    @router.get("/v1/rounds")
    def rounds() -> Response:
        """Every round: who sent, who is missing, what each place has spent."""
        return json_answer(canonical_json(federated.overview()))

    @router.get("/v1/rounds/{week}")
    def round_(request: Request, week: str) -> Response:
        """One round, with the asking place's own budget lines."""
        caller = request.scope.get("state", {}).get("peer")
        own = caller.name if caller is not None and caller.role == "edge" else None
        return json_answer(canonical_json(federated.round(week, own)))

    return router


def _caller(request: Request) -> SpiffeId:
    peer: SpiffeId | None = request.scope.get("state", {}).get("peer")
    if peer is None:
        raise Rejected("no-certificate", "a place sends under its own name", status=401)
    return peer
