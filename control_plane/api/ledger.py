"""`/ledger`: the public files of the ledger. No caller is asked for an identity, and no leaf is looked up by index.

A reader who asked for the proof of one leaf would say which one is theirs; tiles and bundles are fetched by 256.
"""

import re
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import FileResponse, Response

from consent_core.errors import Rejected
from control_plane.ledger.ledger import Ledger

TILE = re.compile(r"(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[1-9][0-9]{0,2})?")
IMMUTABLE = "public, max-age=31536000, immutable"
BINARY = "application/octet-stream"


def ledger_routes(ledger: Ledger) -> APIRouter:
    """The routes over one ledger."""
    router = APIRouter(tags=["ledger"])
    root = ledger.public.root

    @router.get("/ledger/checkpoint", response_class=Response)
    def checkpoint() -> Response:
        """The newest checkpoint, signed and cosigned."""
        note = ledger.public.checkpoint()  # read whole: the file is replaced while others read it
        if note is None:
            raise _missing()
        return Response(note, 200, {"cache-control": "no-cache"}, media_type="text/plain; charset=utf-8")

    @router.get("/ledger/tile/{path:path}", response_class=Response)
    def tile(path: str) -> Response:
        """One tile or bundle, which never changes."""
        if not TILE.fullmatch(path):
            raise _missing()
        return _file(root / "tile" / path)

    @router.get("/ledger/attesters/{n}", response_class=Response)
    def attesters(n: Annotated[int, Path(ge=1, lt=2**53)]) -> Response:
        """List n of who must attest, which never changes."""
        body = ledger.store.facts.body("attesters", n)
        if body is None:
            raise _missing()
        return Response(body, 200, {"cache-control": IMMUTABLE}, media_type="application/json")

    return router


def _file(path: FilePath) -> Response:
    if not path.is_file():
        raise _missing()
    return FileResponse(path, 200, {"cache-control": IMMUTABLE}, media_type=BINARY)


def _missing() -> Rejected:
    return Rejected("ledger-missing", "the ledger has no such file", status=404)
