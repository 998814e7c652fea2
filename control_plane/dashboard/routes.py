"""The dashboard's four addresses on the admin listener. It shows figures of the deployment and nothing of a person."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from control_plane.app import ControlPlane
from control_plane.dashboard.look import SCRIPT, STYLE
from control_plane.dashboard.page import content, document
from control_plane.dashboard.scraping import Pages
from control_plane.dashboard.stored import stored_of

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def dashboard_routes(plane: ControlPlane, pages: Pages) -> list[Route]:
    """The page, its changing part, its look."""

    async def whole(_: Request) -> Response:
        return HTMLResponse(document(await run_in_threadpool(_content, plane, pages)), headers=HEADERS)

    async def now(_: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(_content, plane, pages), headers=HEADERS)

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=HEADERS)

    async def script(_: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript", headers=HEADERS)

    routes = {"/": whole, "/now": now, "/dashboard.css": style, "/dashboard.js": script}
    return [Route(path, handler) for path, handler in routes.items()]


def _content(plane: ControlPlane, pages: Pages) -> str:
    return content(stored_of(plane), pages.latest)
