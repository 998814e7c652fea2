"""A worker as a process. Started by the lead (`supervisor`), with descriptors in its arguments; never by hand.

It ends when it is told to (SIGTERM) and when its lead is gone: a "no" said elsewhere could not reach it any more.
Either way it takes no new connection and finishes the answers it has begun.
"""

import asyncio
import base64
import pickle
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace

import uvloop

from consent_core.clock import Clock, SystemClock
from consent_core.trust.svid_source import rotate_forever
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.app import Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.process.listeners import serve_public
from runtime_host.pop.process.loading import PopPlaces, identity_of, load_parts, open_audit, open_gallery, revoked_keys
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.channel import Channel, Lead


def main(channel: int, shared_state: int, listening: int, place: int, workers: int) -> None:
    """Be the worker in this place. The first three: descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the lead decides
    end, public = socket.socket(fileno=channel), socket.socket(fileno=listening)
    shared = SharedState.join(shared_state, place, workers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(end, public, shared, SystemClock()))


async def _run(end: socket.socket, public: socket.socket, shared_state: SharedState, clock: Clock) -> None:
    channel = await Channel.over(end)
    message = await channel.receive()
    if message is None:  # the lead is gone already
        return
    orders: tuple[PopConfig, PopPlaces] = pickle.loads(base64.b64decode(message["orders"]))  # noqa: S301 - the lead's own
    (config, places), lead = orders, Lead(shared_state, channel)
    trust = TrustFile.load(config.data / "trust.json")
    identity = identity_of(config, places, trust, clock)
    client = identity.client(config.control_plane)
    audit = open_audit(config, places, clock, worker=shared_state.place + 1)
    pictures = await open_gallery(config, places, worker=shared_state.place + 1)
    loaded = load_parts(places, trust, client, revoked_keys(config, clock), pictures)
    parts = replace(loaded, audit=audit, lead=lead, svid=identity.source)
    pop = build_pop(config, parts, clock)
    rotation = asyncio.create_task(rotate_forever(identity.source, clock, pop.sync.failures.count))
    try:
        await _serve(pop, public, lead)
    finally:
        rotation.cancel()
        await client.aclose()
        audit.close()
        channel.close()


async def _serve(pop: Pop, public: socket.socket, lead: Lead) -> None:
    """Until SIGTERM, or until the lead is gone."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listening = asyncio.create_task(lead.listen())
    listening.add_done_callback(lambda _: stop.set())
    try:
        await serve_public(pop, public, stop, lambda _: lead.send({"kind": "serving"}))
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


if __name__ == "__main__":
    main(*map(int, sys.argv[1:6]))
