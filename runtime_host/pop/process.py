"""One POP as a process: three listeners in one event loop, ended in an orderly way by SIGTERM.

    run(config, Places(catalogue, art, components))       # returns when the process was asked to stop

The public listener speaks HTTP on `public_port`; the mesh listener TLS with SPIFFE identities on `mesh_port`; the
admin listener HTTP on `admin_port`, of this machine only. A stopping POP takes no new connection, lets answers that
have begun finish, ends its streams, and closes its stores last.

With `workers` above 1 this process is the lead: see `runtime_host.pop.workers`.

Start it with `MALLOC_ARENA_MAX=2` (see `ENVIRONMENT`): image threads otherwise keep an arena each.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
import uvloop

from consent_core.audit.verify import is_trail_of
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import Clock, SystemClock
from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from consent_core.trust.mesh import PeerCertificateProtocol
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import SvidSource, open_source, rotate_forever
from consent_core.trust.tls import server_context
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.app import STORE, Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.images.loading import load_catalogue
from runtime_host.pop.serving.http1 import PopProtocol
from runtime_host.pop.serving.ingress import App
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.board import Board
from runtime_host.pop.workers.accepting import Accepting
from runtime_host.pop.workers.crew import Crew, hold
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.loading import LoadedComponent, load_component
from runtime_host.wasm.sandbox import SandboxPool

LOG = logging.getLogger("consent_edge.pop")

ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}  # for whoever starts this process: it is read before Python runs
GRACE_S = 5  # for answers that have begun
KEEP_ALIVE_S = 75  # longer than common proxies keep a connection, so that they close first
BACKLOG = 2_048

Started = Callable[[list[int]], None]  # the ports: public, admin, and mesh if there is one


@dataclass(frozen=True, slots=True)
class Places:
    """Where a POP finds what it is given, besides the data directory. `sites`: URL prefix to directory.

    `functions` decide for the categories that their manifests name; `personalization` for the rest.
    `endpoint_socket`: the SPIFFE Workload API, None for SVIDs of the data directory. `key_provider_token`: for OpenBao.
    """

    catalogue: Path
    art: Path
    components: Path
    functions: tuple[str, ...] = ()
    sites: Mapping[str, Path] = field(default_factory=dict)
    endpoint_socket: str | None = None
    key_provider_token: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """How this POP shows itself on the mesh, and whom it believes."""

    source: SvidSource
    clock: Clock

    def client(self, base_url: str) -> httpx.AsyncClient:
        """A client that talks to the control plane and nobody else."""
        return mesh_client(self.source, self.clock, base_url, role="control-plane")


def run(config: PopConfig, places: Places) -> None:
    """Load everything, serve until told to stop. Raises: Untrusted, Rejected, Unavailable before it listens."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(config, places, SystemClock()))


async def _run(config: PopConfig, places: Places, clock: Clock) -> None:
    held = await hold(config.home)
    trust = TrustFile.load(config.data / "trust.json")
    identity = identity_of(config, places, trust, clock)
    client = identity.client(config.control_plane)
    audit = open_audit(config, places, clock)
    retired = open_retired(config, places, clock)
    crew = None if config.workers == 1 else make_crew(config, places, held)
    parts = replace(
        load_parts(places, trust, client, revoked_keys(config, clock)), audit=audit, retired=retired, crew=crew
    )
    pop = build_pop(config, parts, clock)
    rotation = asyncio.create_task(rotate_forever(identity.source, clock, pop.sync.count))
    try:
        await serve(pop, identity)
    finally:
        rotation.cancel()
        await client.aclose()
        for trail in (audit, *retired):
            trail.close()
        os.close(held)


def identity_of(config: PopConfig, places: Places, trust: TrustFile, clock: Clock) -> Identity:
    """Of a process of this POP; each has an SVID of its own."""
    name = SpiffeId(trust.trust_domain, ("edge", config.pop))
    source = open_source(
        config.data, name, endpoint_socket=places.endpoint_socket, ttl_s=config.svid_ttl_s, clock=clock
    )
    return Identity(source, clock)


def open_audit(config: PopConfig, places: Places, clock: Clock, worker: int = 1) -> AuditWriter:
    """The audit trail of one of this POP's workers; the first one's has the POP's own name.

    Raises: Unavailable: who cannot record does not start.
    """
    provider = open_provider(config.key_provider, config.data, places.key_provider_token)
    limits = AuditLimits(keep_days=config.audit_keep_days)
    trail = config.pop if worker == 1 else f"{config.pop}.w{worker}"
    return AuditWriter.open(config.data / "audit" / "edge" / trail, f"edge/{trail}", provider, clock, limits)


def open_retired(config: PopConfig, places: Places, clock: Clock) -> tuple[AuditWriter, ...]:
    """Trails of workers that this POP had more of: visitors who are erased must be shredded in them too."""
    trails = (config.data / "audit" / "edge").glob(f"{config.pop}.w*")
    numbers = sorted(int(trail.name.rpartition(".w")[2]) for trail in trails if is_trail_of(trail.name, config.pop))
    return tuple(open_audit(config, places, clock, number) for number in numbers if number > config.workers)


def make_crew(config: PopConfig, places: Places, held: int) -> Crew:
    """This POP's further workers, not started, and the public socket that all will accept from.

    Raises: Unavailable("port-taken").
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        public = socket.create_server((config.host, config.public_port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Unavailable("port-taken", f"{config.host} port {config.public_port}: {error.strerror}") from error
    public.setblocking(False)
    return Crew(Board.make(config.workers), public, (config, places), held)


def revoked_keys(config: PopConfig, clock: Clock) -> frozenset[str]:
    """The keys that the log took away, as far as this POP had read it when it last ran. Raises: Unavailable."""
    with PopStore(config.home / STORE, clock) as store:
        return store.revocations.revoked_keys()


def load_parts(places: Places, trust: TrustFile, client: httpx.AsyncClient, revoked: frozenset[str]) -> Parts:
    """The verified components, the checked catalogue and the client. `revoked`: keys that the log took away.

    Raises: Untrusted, Rejected.
    """
    load = partial(load_component, trust=trust, now=SystemClock().now(), revoked=revoked)
    validator = ConsentValidator(SandboxPool(load(places.components / "consent_validation")))
    return Parts(
        trust=trust,
        catalogue=load_catalogue(places.catalogue, places.art),
        validator=validator,
        personalizers=load_personalizers(places, load),
        client=client,
        sites=places.sites,
    )


def load_personalizers(places: Places, load: Callable[[Path], LoadedComponent]) -> dict[str, Personalizer]:
    """Who decides for each category: the last function named that is for it. Raises: Untrusted."""
    deciding: dict[str, Personalizer] = {}
    for name in places.functions:
        loaded = load(places.components / name)
        deciding |= dict.fromkeys(loaded.category, Personalizer(SandboxPool(loaded)))
    if len(deciding) < len(CATEGORIES):
        shipped = Personalizer(SandboxPool(load(places.components / "personalization")))
        deciding = dict.fromkeys(CATEGORIES, shipped) | deciding
    return deciding


class _Server(uvicorn.Server):
    """One of several servers in a process: signals are the process's business, not each server's."""

    board: Board | None = None  # where several processes share the socket out

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. On a socket that other processes listen on too, each takes its share."""
        if self.board is None or sockets is None:
            await super().startup(sockets)
            return
        config, state = self.config, self.server_state
        kind: Any = config.http_protocol_class
        make = partial(kind, config=config, server_state=state, app_state=self.lifespan.state)
        shares = [Accepting(shared, make, lambda: len(state.connections), self.board) for shared in sockets]
        self.servers = cast("list[asyncio.base_events.Server]", shares)
        self.started = True


async def serve(pop: Pop, identity: Identity | None = None, started: Started = lambda _: None) -> None:
    """Listen until SIGTERM or SIGINT. Without an identity there is no mesh listener.

    `started` is called once all listeners take connections.
    """
    config, crew = pop.config, pop.crew
    servers = [_server(pop.public_app, config.host, config.public_port)]
    servers.append(_server(pop.admin_app, "127.0.0.1", config.admin_port))
    if identity is not None:
        servers.append(_mesh_server(pop.mesh_app, config, identity, pop.refused))
    stop = asyncio.Event()
    with _stopping(stop):
        await _serve(pop, servers, stop, started, None if crew is None else crew.listening)


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
    servers[0].board = pop.board
    sockets = [None if public is None else [public], *[None] * len(servers[1:])]
    serving = [asyncio.create_task(server.serve(given)) for server, given in zip(servers, sockets, strict=True)]
    ended = asyncio.create_task(stop.wait())
    announced = asyncio.create_task(_announce(servers, started))
    if pop.crew is not None:
        pop.crew.start()
    try:
        await asyncio.wait((ended, *serving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pop.streams.close()
        for server in servers:
            server.should_exit = True
        crew = asyncio.create_task(_nothing() if pop.crew is None else pop.crew.stop())
        failures = await asyncio.gather(*serving, return_exceptions=True)
        await crew
        ended.cancel()
        announced.cancel()
        await pop.stop()
    for failure in failures:
        if isinstance(failure, BaseException):
            raise failure


async def _nothing() -> None:
    """Nobody to stop."""


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
                "http": PopProtocol,
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
