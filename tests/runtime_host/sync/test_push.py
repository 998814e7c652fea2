"""The stream over a real socket: a hint that makes the poll soon, and nothing more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import nats
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from consent_core.formats.revocation import hint
from consent_core.nats_hints import SUBJECT
from runtime_host.pop.sync import Sync, SyncConfig
from tests.nats_server import NatsServer
from tests.runtime_host.sync.toy_plane import World, open_toy_bundle

SOON_S = 40.0  # far below the poll interval of these tests, far above what a loaded machine needs


class Server:
    """The toy plane behind a real server, with streams that tests can speak into and break."""

    def __init__(self, world: World) -> None:
        self._plane = world.plane
        self.connected = asyncio.Event()
        self.streams: list[asyncio.Queue[bytes | None]] = []
        self.app = Starlette(
            routes=[
                Route("/v1/revocations/stream", self._stream),
                Route("/{path:path}", self._plain, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def say(self, data: bytes | None) -> None:
        for stream in self.streams:
            stream.put_nowait(data)

    async def _stream(self, _: Request) -> StreamingResponse:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams = [queue]
        self.connected.set()

        async def body() -> AsyncIterator[bytes]:
            yield b": hello\n\n"
            while (data := await queue.get()) is not None:
                yield data

        return StreamingResponse(body(), media_type="text/event-stream")

    async def _plain(self, request: Request) -> Response:
        answer = self._plane.serve(
            httpx.Request(request.method, str(request.url), content=await request.body(), headers=request.headers.raw)
        )
        return Response(answer.content, answer.status_code, dict(answer.headers))


@contextlib.asynccontextmanager
async def served(server: Server) -> AsyncIterator[str]:
    config = uvicorn.Config(server.app, port=0, lifespan="off", ws="none", log_level="error")
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110  uvicorn offers no event
        await asyncio.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.say(None)
        running.should_exit = True
        await task


def live(world: World, story: Callable[[Server, Sync, asyncio.Queue], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        server = Server(world)
        async with served(server) as base, httpx.AsyncClient(base_url=base) as client:
            config = SyncConfig("tokyo-1", world.home, poll_s=50.0, **settings)
            trust = world.plane.keys.trust_file()
            sync = Sync(config, world.store, trust, client, world.clock, opener=open_toy_bundle)
            changes: asyncio.Queue = asyncio.Queue()
            sync.changes.subscribe(changes.put_nowait)
            task = asyncio.create_task(sync.run())
            try:
                async with asyncio.timeout(240):
                    if config.push_url is None:
                        await server.connected.wait()
                    await story(server, sync, changes)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(run())


def test_a_hint_makes_a_revocation_arrive_long_before_the_next_poll(world: World) -> None:
    """Polls are 50 s apart here; the hint needs a fraction of one."""

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        for _ in range(3):
            entry = world.plane.revoke()
            server.say(hint(entry.seq))
            async with asyncio.timeout(SOON_S):
                assert (await changes.get()).seq == entry.seq

    live(world, story)


def test_a_hint_over_nats_does_the_same(world: World, tmp_path: Path) -> None:
    """The control plane's stream is not asked for; whatever the message says, the poll is the truth."""
    nats_server = NatsServer(tmp_path).start()

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        speaker = await nats.connect(nats_server.url)
        async with asyncio.timeout(SOON_S):
            entry = world.plane.revoke()
            while changes.empty():  # until it has subscribed, a message reaches nobody
                await speaker.publish(SUBJECT, b"not a number")
                await asyncio.sleep(0.01)
            assert changes.get_nowait().seq == entry.seq
        assert not server.connected.is_set()
        await speaker.close()

    try:
        live(world, story, push_url=nats_server.url)
    finally:
        nats_server.kill()


def test_a_broken_stream_is_opened_again_and_makes_up_for_what_was_missed(world: World) -> None:
    """The new connection alone is a hint."""

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        server.connected.clear()
        server.say(None)
        entry = world.plane.revoke()
        async with asyncio.timeout(SOON_S):
            assert (await changes.get()).seq == entry.seq
            await server.connected.wait()

    live(world, story)


def test_a_silent_stream_is_given_up(world: World) -> None:
    """A connection that a firewall swallowed looks just like an idle one, but for its pings."""

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        server.connected.clear()
        async with asyncio.timeout(SOON_S):
            await server.connected.wait()

    live(world, story, push_silence_s=0.3)


def test_what_the_stream_says_is_not_believed(world: World) -> None:
    """Rubbish, or a head that does not exist, causes a poll and changes nothing."""

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        server.say(hint(10**9))
        server.say(b"data: {not json\n\nevent: purge\ndata: everything\n\n")
        entry = world.plane.revoke()
        server.say(hint(entry.seq))
        async with asyncio.timeout(SOON_S):
            assert (await changes.get()).seq == entry.seq
        assert world.store.log.position.position == 1
        assert sync.trust_state.in_sync()

    live(world, story)


@pytest.mark.parametrize("task", ["poll", "policy", "keys", "status"])
def test_every_periodic_task_runs(world: World, task: str) -> None:
    """Within moments of the start the POP has asked for all it needs and said where it stands."""
    world.plane.publish(1)
    paths = {
        "poll": "/v1/revocations",
        "policy": "/v1/policy/bundle",
        "keys": "/.well-known/jwks.json",
        "status": "/v1/pops/tokyo-1/status",
    }

    async def story(server: Server, sync: Sync, changes: asyncio.Queue) -> None:
        async with asyncio.timeout(SOON_S):
            while paths[task] not in world.plane.requests:  # noqa: ASYNC110  the toy plane knows no loop
                await asyncio.sleep(0.01)

    live(world, story)
