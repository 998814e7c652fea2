"""`POST /v1/pops/{pop}/kept`: what a POP kept, for a control plane that was restored from a backup."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from consent_core.errors import Rejected
from consent_core.formats.consent import REGION
from consent_core.formats.kept import MAX_PAGE_BYTES, read_kept
from control_plane.api.http import body_reader
from control_plane.restore.collecting import Collecting

Pop = Annotated[str, Path(pattern=f"^{REGION.pattern}$", description="the POP's own name, as in its certificate")]


def kept_routes(collecting: Collecting) -> APIRouter:
    """The route over one store."""
    router = APIRouter(tags=["restore"])
    Body = Annotated[bytes, Depends(body_reader(MAX_PAGE_BYTES))]  # noqa: N806  # a type, named as one

    @router.post("/v1/pops/{pop}/kept", status_code=204)
    def kept(request: Request, pop: Pop, body: Body) -> Response:
        """Take a page; the one that says `end` completes this POP's delivery."""
        _require_edge(request, pop)
        collecting.take(pop, read_kept(body))
        return Response(status_code=204)

    return router


def _require_edge(request: Request, pop: str) -> None:
    """Only an edge delivers, and only its own. Without a guard (one machine's loopback) the caller is not known."""
    peer = request.scope.get("state", {}).get("peer")
    if peer is not None and (peer.role, peer.name) != ("edge", pop):
        raise Rejected("pop-mismatch", "a POP delivers what it kept itself", status=403)
