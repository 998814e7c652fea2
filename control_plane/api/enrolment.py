"""`/v1/enrolments`, `/v1/enrol`, `/v1/svid` and `/v1/components`: POPs on other machines."""

import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, Response

from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import REGION, bad_request
from consent_core.formats.enrolment import BASE64, MAX_REQUEST_BYTES, EnrolmentRequest, read_enrolment
from consent_core.formats.fields import Fields
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE
from control_plane.api.http import body_reader, described, json_answer, parsed
from control_plane.enrolment import Invitations, Joining

Body = Annotated[bytes, Depends(body_reader(MAX_REQUEST_BYTES))]
_COMPONENT = re.compile(r"[a-z][a-z0-9_]{0,63}")


def enrolment_routes(invitations: Invitations, joining: Joining, components: Path) -> APIRouter:
    """The routes of the mesh: for operators, and for POPs that have an identity."""
    router = APIRouter(tags=["enrolment"])

    @router.post("/v1/enrolments")
    def invite(body: Body) -> Response:
        """A one-time code for a POP's name."""
        fields = Fields(parsed(body), bad_request, ("pop", "valid_s"))
        code, until = invitations.invite(fields.matching("pop", REGION), fields.number("valid_s"))
        return json_answer(canonical_json({"code": code, "expires_at": until}))

    @router.post("/v1/svid")
    def renew(request: Request, body: Body) -> Response:
        """The next certificate of the caller itself."""
        asked = Fields(parsed(body), bad_request, ("public_key",)).matching("public_key", BASE64)
        peer = request.scope.get("state", {}).get("peer")
        if peer is None or peer.role != "edge":
            raise Rejected("forbidden-route", "only an edge renews its certificate here", status=403)
        chain, bundle = joining.renew(peer, asked)
        return json_answer(canonical_json({"chain": chain, "bundle": bundle}))

    @router.get("/v1/components")
    def listed() -> Response:
        """The files of each built component. They are signed: nothing here is believed for where it came from."""
        return json_answer(canonical_json({name: list(_files(name)) for name in _names(components)}))

    @router.get("/v1/components/{name}/{file}", response_class=FileResponse)
    def component(name: str, file: str) -> FileResponse:
        """One of them."""
        if name not in _names(components) or file not in _files(name):
            raise Rejected("component-unknown", "no such component, or no such file of it", status=404)
        return FileResponse(components / name / file, media_type="application/octet-stream")

    return router


def joining_routes(joining: Joining) -> APIRouter:
    """The route for a machine that has nothing but a code."""
    router = APIRouter(tags=["enrolment"])

    @router.post("/v1/enrol", openapi_extra=described(EnrolmentRequest))
    def join(body: Body) -> Response:
        """Identity, trust file and rendition key, sealed under the code. One use."""
        return json_answer(joining.join(read_enrolment(body)))

    return router


def _names(components: Path) -> list[str]:
    found = (path.parent.name for path in components.glob(f"*/{SIGNATURE_FILE}"))
    return sorted(name for name in found if _COMPONENT.fullmatch(name))


def _files(name: str) -> tuple[str, ...]:
    return (MANIFEST_FILE, SIGNATURE_FILE, f"{name}.wasm", f"{name}.cwasm")
