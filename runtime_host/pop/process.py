"""One POP as a process: three listeners in one event loop, ended in an orderly way by SIGTERM.

    run(config, Places(catalogue, art, components))       # returns when the process was asked to stop

The public listener speaks HTTP on `public_port`; the mesh listener TLS with SPIFFE identities on `mesh_port`; the
admin listener HTTP on `admin_port`, of this machine only. A stopping POP takes no new connection, lets answers that
have begun finish, ends its streams, and closes its stores last.

Start it with `MALLOC_ARENA_MAX=2` (see `ENVIRONMENT`): image threads otherwise keep an arena each.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop

from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import Clock, SystemClock
from consent_core.formats.token import CATEGORIES
from consent_core.trust.mesh import PeerCertificateProtocol
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import SvidSource, open_source, rotate_forever
from consent_core.trust.tls import server_context
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.app import Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.images.loading import load_catalogue
from runtime_host.pop.serving.http1 import PopProtocol
from runtime_host.pop.serving.ingress import App
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.loading import load_component
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
    trust = TrustFile.load(config.data / "trust.json")
    name = SpiffeId(trust.trust_domain, ("edge", config.pop))
    source = open_source(
        config.data, name, endpoint_socket=places.endpoint_socket, ttl_s=config.svid_ttl_s, clock=clock
    )
    identity = Identity(source, clock)
    client = identity.client(config.control_plane)
    audit = open_audit(config, places, clock)
    pop = build_pop(config, replace(load_parts(places, trust, client), audit=audit), clock)
    rotation = asyncio.create_task(rotate_forever(identity.source, clock, pop.sync.count))
    try:
        await serve(pop, identity)
    finally:
        rotation.cancel()
        await client.aclose()
        audit.close()


def open_audit(config: PopConfig, places: Places, clock: Clock) -> AuditWriter:
    """This POP's audit trail. Raises: Unavailable: a POP that cannot record does not start."""
    provider = open_provider(config.key_provider, config.data, places.key_provider_token)
    limits = AuditLimits(keep_days=config.audit_keep_days)
    directory = config.data / "audit" / "edge" / config.pop
    return AuditWriter.open(directory, f"edge/{config.pop}", provider, clock, limits)


def load_parts(places: Places, trust: TrustFile, client: httpx.AsyncClient) -> Parts:
    """The verified components, the checked catalogue and the client. Raises: Untrusted, Rejected."""
    validator = ConsentValidator(SandboxPool(load_component(places.components / "consent_validation", trust)))
    return Parts(
        trust=trust,
        catalogue=load_catalogue(places.catalogue, places.art),
        validator=validator,
        personalizers=load_personalizers(places, trust),
        client=client,
        sites=places.sites,
    )


def load_personalizers(places: Places, trust: TrustFile) -> dict[str, Personalizer]:
    """Who decides for each category: the last function named that is for it. Raises: Untrusted."""
    deciding: dict[str, Personalizer] = {}
    for name in places.functions:
        loaded = load_component(places.components / name, trust)
        deciding |= dict.fromkeys(loaded.category, Personalizer(SandboxPool(loaded)))
    if len(deciding) < len(CATEGORIES):
        shipped = Personalizer(SandboxPool(load_component(places.components / "personalization", trust)))
        deciding = dict.fromkeys(CATEGORIES, shipped) | deciding
    return deciding


async def serve(pop: Pop, identity: Identity | None = None, started: Started = lambda _: None) -> None:
    """Listen until SIGTERM or SIGINT. Without an identity there is no mesh listener.

    `started` is called once all listeners take connections.
    """
    config = pop.config
    servers = [_server(pop.public_app, config.host, config.public_port)]
    servers.append(_server(pop.admin_app, "127.0.0.1", config.admin_port))
    if identity is not None:
        servers.append(_mesh_server(pop.mesh_app, config, identity, pop.refused))
    stop = asyncio.Event()
    with _stopping(stop):
        await pop.start()
        gc.collect()
        gc.freeze()  # what is loaded now stays: looking through it again and again would stall requests
        serving = [asyncio.create_task(server.serve()) for server in servers]
        ended = asyncio.create_task(stop.wait())
        announced = asyncio.create_task(_announce(servers, started))
        try:
            await asyncio.wait((ended, *serving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pop.streams.close()
            for server in servers:
                server.should_exit = True
            failures = await asyncio.gather(*serving, return_exceptions=True)
            ended.cancel()
            announced.cancel()
            await pop.stop()
    for failure in failures:
        if isinstance(failure, BaseException):
            raise failure


async def _announce(servers: Sequence[uvicorn.Server], started: Started) -> None:
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.02)
    started([server.servers[0].sockets[0].getsockname()[1] for server in servers])


class _Server(uvicorn.Server):
    """One of several servers in a process: signals are the process's business, not each server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
