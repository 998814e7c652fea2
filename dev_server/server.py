"""The page on 127.0.0.1 and what it asks: decisions, pictures, and events as they happen.

GET  /                      the page
GET  /state                 slots, and where things stand
POST /decide                {slot, signals, entropy} -> native answer, the component's, and the picture's address
GET  /v1/renditions/…       the picture
GET  /events                one event per save, build and difference
"""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from consent_core.decision.contract import Adjustment
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.rendition import RenditionKey, open_path, sign_path
from consent_core.http.asgi import error_value
from consent_core.http.bounded import BoundedProtocol
from dev_server.session import DevSession, Tell, open_session
from dev_server.workbench import Tried

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("page.html")
MAX_REQUEST_BYTES = 262_144
FORMAT = "webp"  # every browser takes it, and it is quick to make


class DevServer:
    """One session behind a page. `_listeners`: a queue per open page."""

    def __init__(self, root: Path, name: str | None, data: Path, port: int, tell: Tell) -> None:
        self._tell, self._port = tell, port
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._key = RenditionKey("dev", secrets.token_bytes(32))
        self.session: DevSession = open_session(root, name, data, self._broadcast)
        self.app = Starlette(
            routes=[
                Route("/", lambda _: FileResponse(PAGE, headers={"cache-control": "no-store"})),
                Route("/state", self._state),
                Route("/decide", self._decide, methods=["POST"]),
                Route("/v1/renditions/{rest:path}", self._rendition),
                Route("/events", self._events),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
            exception_handlers={ConsentEdgeError: _refuse},
        )

    async def serve(self) -> None:
        """Until interrupted."""
        with _listening(self._port) as sock:
            port = sock.getsockname()[1]
            await self.session.start()
            watching = asyncio.create_task(self.session.watch())
            settings: dict[str, Any] = {
                "log_config": None,
                "lifespan": "off",
                "ws": "none",
                "timeout_graceful_shutdown": 1,
            }
            server = _Server(uvicorn.Config(self.app, http=BoundedProtocol, **settings))
            server.on_started = lambda: self._tell(
                {"event": "ready", "url": f"http://{HOST}:{port}/", "seconds": _since_start()}
            )
            server.on_stopping = self._end_streams
            try:
                await server.serve([sock])
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await self.session.close()

    def _end_streams(self) -> None:
        for listener in self._listeners:
            listener.put_nowait(None)

    def _broadcast(self, event: Mapping[str, Any]) -> None:
        self._tell(event)
        for listener in self._listeners:
            listener.put_nowait(json.dumps(event))

    async def _state(self, _: Request) -> Response:
        slots = [
            {
                "name": slot.name,
                "category": slot.category,
                "width": slot.width,
                "height": slot.height,
                "experiment": slot.experiment.name if slot.experiment else None,
                "arms": [arm for arm, _ in slot.experiment.arms] if slot.experiment else [],
                "tags": sorted({tag for asset in self.session.catalogue.candidates(slot.name) for tag in asset.tags}),
            }
            for slot in self.session.catalogue.catalogue.slots.values()
        ]
        return JSONResponse({"slots": slots, **self.session.view.to_json()})

    async def _decide(self, request: Request) -> Response:
        body = _read(await request.body())
        slot, signals, entropy = body.get("slot"), body.get("signals"), body.get("entropy")
        if not isinstance(slot, str) or not isinstance(signals, dict) or type(entropy) is not int:
            raise Rejected("invoke-request", "expected slot, signals and entropy")
        answer, component = await self.session.ask(slot, signals, entropy)
        return JSONResponse(
            {
                "native": answer.invocation.to_json(),
                "traceback": answer.traceback,
                "component": component,
                "alike": None if component is None else component["outcome"] == answer.outcome(),
                "picture": self._picture(slot, answer),
                "default": answer.invocation.value is None,
            }
        )

    def _picture(self, slot: str, answer: Tried) -> str:
        """What a visitor would see: the decision's picture, or the default's."""
        catalogue, value = self.session.catalogue, answer.invocation.value
        if value is None:
            shown = catalogue.default(slot)
            recipe = catalogue.recipe(slot, shown.id, copy=shown.copies[0])
        else:
            look = Adjustment(**value["adjustment"])
            recipe = catalogue.recipe(slot, value["asset"], copy=value["copy"], adjustment=look)
        return sign_path(recipe.in_format(FORMAT), self._key)

    async def _rendition(self, request: Request) -> Response:
        recipe = open_path(request.scope["raw_path"], [self._key])
        rendition = await self.session.renderer.render(recipe)
        return Response(rendition.body, media_type=rendition.content_type, headers={"etag": rendition.etag})

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _stream(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield ": open\n\n"
            while (event := await queue.get()) is not None:
                yield f"data: {event}\n\n"
        finally:
            self._listeners.discard(queue)


def _read(data: bytes) -> dict[str, Any]:
    try:
        return read_json_object(data, MAX_REQUEST_BYTES)
    except Untrusted as error:
        raise Rejected("invoke-request", error.message) from error


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and lets go of streams before it waits for them."""

    on_started: Callable[[], None]
    on_stopping: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of streams, then stop."""
        self.on_stopping()
        await super().shutdown(sockets)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        sock = socket.create_server((HOST, port))
    except OSError as error:
        raise Unavailable("port-taken", f"port {port}: {error.strerror}") from error
    with sock:
        yield sock


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ConsentEdgeError)
    return JSONResponse(error_value(error), error.status)


def _since_start() -> float:
    """Seconds since this process began, as the person who typed the command counts them."""
    return round(time.time() - psutil.Process().create_time(), 2)


def run(root: Path, name: str | None, data: Path, port: int, tell: Tell) -> None:
    """Serve one function's page until interrupted."""
    asyncio.run(DevServer(root, name, data, port, tell).serve())
