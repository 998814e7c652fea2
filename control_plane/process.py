"""Runs a control plane: the public and the mesh listener in one process, until it is told to stop.

    run(Settings(data=Path(".edge")))                      # blocks; SIGINT and SIGTERM end it cleanly

    async with serving(settings) as running: ...           # the same inside another program's event loop

Everything it needs is found or made in the data directory first; two starts at once do not harm each other. Streams
and long polls are let go before the listeners close, so that a stop takes no longer than `grace_s`.
"""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from consent_core.audit.writer import AuditWriter
from consent_core.errors import ConsentEdgeError
from consent_core.health.watching import Health
from consent_core.http.bounded import BoundedProtocol
from consent_core.http.listeners import Server, listening, started
from consent_core.http.peer import PeerCertificateProtocol
from consent_core.nats_hints import publish
from consent_core.trust.mesh import GuardSettings, MeshGuard
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa
from consent_core.trust.svid_source import SvidSource, open_source, rotate_forever
from consent_core.trust.tls import server_context
from control_plane.app import ControlPlane, create_app
from control_plane.audit import Shredding, audited, open_audit, writer_of, writers_of
from control_plane.dashboard.scraping import Pages
from control_plane.health import health_of
from control_plane.metrics import admin_application
from control_plane.settings import Settings

CARRY_EVERY_S = 1.0  # between two looks at open requests

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0  # at what can be wrong here


@dataclass(frozen=True, slots=True)
class Running:
    """A control plane that answers at these ports (those asked for, or found free where 0 was asked for)."""

    plane: ControlPlane
    public_port: int
    mesh_port: int


def run(settings: Settings, told: Callable[[Running], None] = lambda _: None) -> None:
    """Serve until SIGINT or SIGTERM. `told` hears where, once both listen.

    Raises: OSError for a port that is taken; as `create_app`.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(settings, told))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """Both listeners, for as long as the block lasts."""
    with (
        listening(settings.host, settings.public_port) as public,
        listening(settings.host, settings.mesh_port) as mesh,
    ):
        plane = await asyncio.to_thread(create_app, settings)
        source = await asyncio.to_thread(_identity, plane) if settings.mutual_tls else None
        audit = await asyncio.to_thread(open_audit, settings)
        plane.revoking.erasing.trails[writer_of(settings.number)] = audit
        plane.revoking.erasing.writers = partial(writers_of, settings)
        await asyncio.to_thread(plane.requests.shred_again)
        servers = [Server(_public_config(plane, audit)), Server(_mesh_config(plane, source, audit))]
        listeners = [
            asyncio.create_task(server.serve([sock])) for server, sock in zip(servers, (public, mesh), strict=True)
        ]
        others = [
            asyncio.create_task(_maintain(plane, Shredding(plane.log, audit))),
            asyncio.create_task(_sequence(plane)),
            asyncio.create_task(_gather(plane)),
            asyncio.create_task(_carry(plane)),
        ]
        if settings.push_url is not None:
            others.append(asyncio.create_task(publish(settings.push_url, plane.log.hints.beyond, _push_failed)))
        if source is not None:
            others.append(asyncio.create_task(rotate_forever(source, settings.clock)))
        if settings.admin_port is not None:
            health = health_of(plane, audit, source)
            others.append(asyncio.create_task(_watch(health)))
            pages = Pages(settings.pages)
            others.append(asyncio.create_task(pages.look_forever()))
            application = admin_application(plane, health, pages, source)
            others.append(asyncio.create_task(_administer(plane, application, settings.admin_port)))
        try:
            await started(servers, listeners)
            yield Running(plane, public.getsockname()[1], mesh.getsockname()[1])
        finally:
            plane.log.hints.close()
            for server in servers:
                server.should_exit = True
            for task in others:
                task.cancel()
            await asyncio.gather(*listeners, *others, return_exceptions=True)
            await asyncio.to_thread(plane.close)
            await asyncio.to_thread(audit.close)


async def _until_signalled(settings: Settings, told: Callable[[Running], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings) as running:
        told(running)
        await stop.wait()


async def _maintain(plane: ControlPlane, shred: Shredding) -> None:
    """Delete what ran out, for ever. A store that does not answer is asked again next time."""
    while True:
        try:
            await asyncio.to_thread(plane.sweep)
            await asyncio.to_thread(shred)
            await asyncio.to_thread(plane.revoking.erasing.step)
        except ConsentEdgeError as error:
            logger.warning("maintenance: %s", error)
        await asyncio.sleep(plane.settings.maintain_every_s)


def _push_failed(error: ConsentEdgeError) -> None:
    """POPs poll all the same."""
    logger.warning("%s: %s", error.code, error)


async def _sequence(plane: ControlPlane) -> None:
    """Let the ledger copy and beat, for ever."""
    while True:
        await asyncio.to_thread(plane.ledger.tick)
        await asyncio.sleep(plane.ledger.settings.copy_s)


async def _watch(health: Health) -> None:
    """Tell the log what begins and ends, for ever."""
    while True:
        await asyncio.to_thread(health.look)
        await asyncio.sleep(LOOK_EVERY_S)


async def _administer(plane: ControlPlane, application: Starlette, port: int) -> None:
    """The dashboard, `/metrics` and `/readyz`, for this machine only, until cancelled."""
    try:
        with listening("127.0.0.1", port) as sock:
            await Server(uvicorn.Config(application, **_common(plane.settings))).serve([sock])
    except OSError as error:
        logger.error("admin listener: port %d: %s", port, error.strerror)  # noqa: TRY400 - the trace says no more


async def _gather(plane: ControlPlane) -> None:
    """Put statements about people into the ledger together, as often as it beats."""
    while True:
        try:
            await asyncio.to_thread(plane.attesters.statements.flush)
        except ConsentEdgeError as error:
            logger.warning("statements: %s", error)
        await asyncio.sleep(plane.ledger.settings.beat_s)


async def _carry(plane: ControlPlane) -> None:
    """Attest this place, and carry people's requests on, once a second: by the control plane whose turn it is."""
    while True:
        mine = await asyncio.to_thread(plane.requests.turn.is_mine)
        for look in (plane.own.look, plane.requests.machine.look) if mine else ():
            try:
                await asyncio.to_thread(look)
            except ConsentEdgeError as error:
                logger.warning("requests: %s", error)
            except Exception:  # one request that cannot be carried must not end the others' way
                logger.exception("requests: an unforeseen failure")
        await asyncio.sleep(CARRY_EVERY_S)


def _identity(plane: ControlPlane) -> SvidSource:
    """This control plane's own SVID: from SPIRE if its socket is named, else from the development CA."""
    settings, domain = plane.settings, plane.keys.trust_file().trust_domain
    if settings.spiffe_endpoint_socket is None:
        DevelopmentCa.open(settings.data, domain, create=True, clock=settings.clock)
    name = SpiffeId.of(domain, "control-plane", settings.name)
    socket_path, ttl_s = settings.spiffe_endpoint_socket, settings.svid_ttl_s
    return open_source(settings.data, name, endpoint_socket=socket_path, ttl_s=ttl_s, clock=settings.clock)


def _public_config(plane: ControlPlane, audit: AuditWriter) -> uvicorn.Config:
    return uvicorn.Config(audited(plane.public_app, audit, "public"), **_common(plane.settings))


def _mesh_config(plane: ControlPlane, source: SvidSource | None, audit: AuditWriter) -> uvicorn.Config:
    """Mutual TLS, and the guard in front of every route."""
    if source is None:
        return uvicorn.Config(audited(plane.mesh_app, audit, "mesh"), **_common(plane.settings))
    identity = source

    def refused(code: str) -> None:
        plane.failures[("rejected", code)] += 1

    def context(*_: Any) -> ssl.SSLContext:
        return server_context(identity, refused)

    guard = GuardSettings(
        trust_domain=plane.keys.trust_file().trust_domain,
        clock=plane.settings.clock,
        authorize=plane.policies.authorize,
        revoked=plane.log.revoked_keys,
        refused=refused,
    )
    app = audited(MeshGuard(plane.mesh_app, guard), audit, "mesh")
    mesh = {"http": PeerCertificateProtocol, "ssl_context_factory": context}
    return uvicorn.Config(app, **{**_common(plane.settings), **mesh})


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "lifespan": "off",
        "http": BoundedProtocol,
        "ws": "none",
        "timeout_graceful_shutdown": settings.grace_s,
    }
