"""The public listener's `/docs`: every route of this control plane, with Swagger UI served from here, no CDN."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

TITLE = "consent-edge control plane"
ASSETS = "/docs/assets"
STATIC = Path(fastapi_offline.__file__).parent / "static"  # a Swagger UI that knows OpenAPI 3.1
DESCRIPTION = (
    "The routes of both listeners. The public one (port 7000) serves what anybody may read; "
    "those tagged consent, revocations, policy and keys are on the mesh listener (port 7443, mutual TLS)."
)


def install(public: FastAPI, mesh: FastAPI) -> None:
    """Serve the description of both applications on the public one."""
    described: dict[str, Any] = {}
    on_mesh = {_name(route) for route in mesh.routes}

    @public.get("/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        if not described:
            routes = [*mesh.routes, *(route for route in public.routes if _name(route) not in on_mesh)]
            described.update(get_openapi(title=TITLE, version="1", description=DESCRIPTION, routes=routes))
        return described

    @public.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=TITLE,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )
        page.headers.update(_guards(bytes(page.body)))
        return page

    public.mount(ASSETS, StaticFiles(directory=STATIC), name="swagger-ui")


def _guards(page: bytes) -> dict[str, str]:
    """Headers under which the page runs its own script and no other, and no site frames it."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digests = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"content-security-policy": policy, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def _name(route: BaseRoute) -> tuple[str, ...]:
    """Path and methods: what makes a route the same on both listeners."""
    return (getattr(route, "path", ""), *sorted(getattr(route, "methods", None) or ()))
