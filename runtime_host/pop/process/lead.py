"""One POP as a process: three listeners in one event loop, ended in an orderly way by SIGTERM.

    run(config, PopPlaces(catalogue, art, components))       # returns when the process was asked to stop

The public listener speaks HTTP on `public_port`; the mesh listener TLS with SPIFFE identities on `mesh_port`; the
admin listener HTTP on `admin_port`, of this machine only. A stopping POP takes no new connection, lets answers that
have begun finish, ends its streams, and closes its stores last.

With `workers` above 1 this process is the lead: see `runtime_host.pop.workers`.

Start it with `MALLOC_ARENA_MAX=2` (see `ENVIRONMENT`): image threads otherwise keep an arena each.
"""

import asyncio
import logging
import os
import socket
from dataclasses import replace

import uvloop

from consent_core.clock import Clock, SystemClock
from consent_core.errors import Unavailable
from consent_core.trust.svid_source import rotate_forever
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.app import build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.process.listeners import BACKLOG, serve
from runtime_host.pop.process.loading import (
    PopPlaces,
    attesting_parts,
    identity_of,
    load_parts,
    open_audit,
    open_gallery,
    open_retired,
    revoked_keys,
)
from runtime_host.pop.process.renewing import renew_forever
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.supervisor import Supervisor, hold

LOG = logging.getLogger("consent_edge.pop")

ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}  # set by the parent process: it is read before Python runs


def run(config: PopConfig, places: PopPlaces) -> None:
    """Load everything, serve until told to stop. Raises: Untrusted, Rejected, Unavailable before it listens."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(config, places, SystemClock()))


async def _run(config: PopConfig, places: PopPlaces, clock: Clock) -> None:
    held = await hold(config.home)
    trust = TrustFile.load(config.data / "trust.json")
    identity = identity_of(config, places, trust, clock)
    client = identity.client(config.control_plane)
    audit = open_audit(config, places, clock)
    retired = open_retired(config, places, clock)
    supervisor = None if config.workers == 1 else make_supervisor(config, places, held)
    pictures = await open_gallery(config, places)
    loaded = load_parts(places, trust, client, revoked_keys(config, clock), pictures)
    parts = replace(
        loaded,
        attesting=attesting_parts(config, places, trust, loaded.components),
        audit=audit,
        retired=retired,
        supervisor=supervisor,
        svid=identity.source,
    )
    pop = build_pop(config, parts, clock)
    rotation = asyncio.create_task(rotate_forever(identity.source, clock, pop.sync.failures.count))
    renewal = asyncio.create_task(renew_forever(config.data / "svid" / f"edge-{config.pop}", client, clock))
    try:
        await serve(pop, identity)
    finally:
        rotation.cancel()
        renewal.cancel()
        await client.aclose()
        for trail in (audit, *retired):
            trail.close()
        os.close(held)


def make_supervisor(config: PopConfig, places: PopPlaces, held: int) -> Supervisor:
    """This POP's further workers, not started, and the public socket that all will accept from.

    Raises: Unavailable("port-taken").
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        public = socket.create_server((config.host, config.public_port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Unavailable("port-taken", f"{config.host} port {config.public_port}: {error.strerror}") from error
    public.setblocking(False)
    return Supervisor(SharedState.make(config.workers), public, (config, places), held)
