"""The simulated network between one POP and the control plane, as an httpx transport under the real client.

Lag, loss and partitions look as TCP makes them look: a lost message comes later, a partition delays everything until
it ends or the asker gives up. Two requests overtake each other whenever their lags say so. The control plane behind it
is the real application, called over ASGI.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx

from consent_core.errors import Unavailable

LOG, STREAM = "/v1/revocations", "/v1/revocations/stream"
RESEND_S = 0.2  # Linux's least retransmission time-out; doubles with each further loss
JITTER = 0.2  # of the lag, either way

App = Callable[..., Any]


class Link:
    """One POP's way to the control plane. `lag`: seconds one way. Faults are switched by `run`'s events."""

    def __init__(self, lag: float, loss: float, random: Random) -> None:
        self._lag = lag
        self._loss = loss
        self._random = random
        self._open = asyncio.Event()
        self._open.set()
        self.push = asyncio.Event()
        self.push.set()
        self.replaying = False
        self.said: bytes | None = None  # the log's last answer, for who replays it

    @property
    def up(self) -> bool:
        """Whether anything gets through."""
        return self._open.is_set()

    def cut(self) -> None:
        """Begin a partition."""
        self._open.clear()

    def heal(self) -> None:
        """End a partition."""
        self._open.set()

    async def carry(self) -> None:
        """One message's way from end to end."""
        resend = RESEND_S
        while self._random.random() < self._loss:
            await asyncio.sleep(resend)
            resend *= 2
        await self._open.wait()
        await asyncio.sleep(self._lag * (1 + JITTER * (2 * self._random.random() - 1)))
        await self._open.wait()  # what was under way when the partition began is sent again after it


class SimulatedNetwork(httpx.AsyncBaseTransport):
    """Carries one POP's requests over its link. `app()`: the control plane's application as it is now."""

    def __init__(self, app: App, link: Link, written: Callable[[], None]) -> None:
        self._app = app
        self._link = link
        self._written = written
        self._calls = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the real transport. `written` is called once a change has been carried out."""
        path = request.url.path
        if path == STREAM:
            return await self._open_stream(request)
        await self._link.carry()
        if path == LOG and self._link.replaying and self._link.said is not None:
            await self._link.carry()
            return httpx.Response(200, content=self._link.said)
        response = await self._calls.handle_async_request(request)
        if request.method in ("POST", "DELETE"):
            self._written()
        elif path == LOG:
            self._link.said = await response.aread()
        await self._link.carry()
        return response

    async def _open_stream(self, request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions["timeout"]
        try:
            async with asyncio.timeout(timeouts["connect"]):
                await self._link.push.wait()
                await self._link.carry()
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no way to the control plane", request=request) from error
        stream = _Stream(self._app, request, self._link, timeouts["read"])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)


class _Stream(httpx.AsyncByteStream):
    """A response that goes on: the application runs as a task, its chunks come over the link in order."""

    def __init__(self, app: App, request: httpx.Request, link: Link, silence_s: float) -> None:
        self._link = link
        self._silence_s = silence_s
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(app, request))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        ended = False
        while not ended:
            try:
                async with asyncio.timeout(self._silence_s):
                    chunks = [await self._chunks.get()]
                    await self._link.push.wait()
                    await self._link.carry()
            except TimeoutError as error:
                raise httpx.ReadTimeout("the stream fell silent") from error
            while not self._chunks.empty():
                chunks.append(self._chunks.get_nowait())
            ended = None in chunks
            yield b"".join(chunk for chunk in chunks if chunk)

    async def aclose(self) -> None:
        """Hang up."""
        self._task.cancel()

    async def _run(self, app: App, request: httpx.Request) -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
            "method": request.method, "headers": request.headers.raw, "scheme": request.url.scheme,
            "path": request.url.path, "raw_path": request.url.raw_path, "query_string": request.url.query,
            "server": (request.url.host, request.url.port), "client": ("simulated", 1), "root_path": "",
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise Unavailable("control-plane-failed", f"the stream answered {message['status']}")
            if message["type"] == "http.response.body":
                self._chunks.put_nowait(message.get("body", b""))

        try:
            await app(scope, receive, send)
        finally:
            self._chunks.put_nowait(None)
