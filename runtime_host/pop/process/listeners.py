"""What a process of a POP listens on, in one event loop, until it is told to stop."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import uvicorn

from consent_core.http.asgi import App
from consent_core.http.bounded import BoundedProtocol
from consent_core.http.listeners import Server
from consent_core.http.peer import PeerCertificateProtocol
from consent_core.trust.tls import server_context
from runtime_host.pop.app import Pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.process.loading import Identity
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.accepting import Accepting

GRACE_S = 5  # for answers that have begun


KEEP_ALIVE_S = 75  # longer than common proxies keep a connection, so that they close first


BACKLOG = 2_048


Started = Callable[[list[int]], None]  # the ports: public, admin, and mesh if there is one


class _Server(Server):
    """One of several servers in a process: signals are the process's business, not each server's."""

    shared_state: SharedState | None = None  # where several processes share the socket out

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. On a socket that other processes listen on too, each takes its share."""
        if self.shared_state is None or sockets is None:
            await super().startup(sockets)
            return
        config, state = self.config, self.server_state
        kind: Any = config.http_protocol_class
        make = partial(kind, config=config, server_state=state, app_state=self.lifespan.state)
        shares = [Accepting(shared, make, lambda: len(state.connections), self.shared_state) for shared in sockets]
        self.servers = cast("list[asyncio.base_events.Server]", shares)
        self.started = True


async def serve(pop: Pop, identity: Identity | None = None, started: Started = lambda _: None) -> None:
    """Listen until SIGTERM or SIGINT. Without an identity there is no mesh listener.

    `started` is called once all listeners take connections.
    """
    config, supervisor = pop.config, pop.supervisor
    servers = [_server(pop.public_app, config.host, config.public_port)]
    servers.append(_server(pop.admin_app, "127.0.0.1", config.admin_port))
    if identity is not None:
        servers.append(_mesh_server(pop.mesh_app, config, identity, pop.refused))
    stop = asyncio.Event()
    with _stopping(stop):
        await _serve(pop, servers, stop, started, None if supervisor is None else supervisor.listening)


async def serve_public(pop: Pop, listening: socket.socket, stop: asyncio.Event, started: Started) -> None:
    """The public listener alone, on a socket that listens already, until `stop`: what a worker does."""
    await _serve(pop, [_server(pop.public_app, "", 0)], stop, started, listening)


async def _serve(
    pop: Pop, servers: Sequence[_Server], stop: asyncio.Event, started: Started, public: socket.socket | None
) -> None:
    """`public`: what the first server listens on, None where it opens its own."""
    await pop.start()
    gc.collect()
    gc.freeze()  # what is loaded now stays: looking through it again and again would stall requests
    servers[0].shared_state = pop.shared_state
    sockets = [None if public is None else [public], *[None] * len(servers[1:])]
    serving = [asyncio.create_task(server.serve(given)) for server, given in zip(servers, sockets, strict=True)]
    ended = asyncio.create_task(stop.wait())
    announced = asyncio.create_task(_announce(servers, started))
    if pop.supervisor is not None:
        pop.supervisor.start()
    try:
        await asyncio.wait((ended, *serving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pop.streams.close()
        for server in servers:
            server.should_exit = True
        supervisor = asyncio.create_task(_nothing() if pop.supervisor is None else pop.supervisor.stop())
        failures = await asyncio.gather(*serving, return_exceptions=True)
        await supervisor
        ended.cancel()
        announced.cancel()
        await pop.stop()
    for failure in failures:
        if isinstance(failure, BaseException):
            raise failure


async def _nothing() -> None:
    """There is no supervisor to stop."""


async def _announce(servers: Sequence[uvicorn.Server], started: Started) -> None:
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.02)
    started([server.servers[0].sockets[0].getsockname()[1] for server in servers])


def _server(app: App, host: str, port: int, **settings: Any) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            **{
                "host": host,
                "port": port,
                "loop": "none",
                "http": BoundedProtocol,
                "ws": "none",
                "lifespan": "off",
                "interface": "asgi3",
                "access_log": False,
                "log_config": None,
                "server_header": False,
                "proxy_headers": False,
                "backlog": BACKLOG,
                "timeout_keep_alive": KEEP_ALIVE_S,
                "timeout_graceful_shutdown": GRACE_S,
                **settings,
            },
        )
    )


def _mesh_server(app: App, config: PopConfig, identity: Identity, refused: Callable[[str], None]) -> _Server:
    return _server(
        app,
        config.host,
        config.mesh_port,
        http=PeerCertificateProtocol,
        ssl_context_factory=lambda *_: server_context(identity.source, refused),
    )


@contextlib.contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`; afterwards they are what they were."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
