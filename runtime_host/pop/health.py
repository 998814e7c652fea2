"""What can be wrong with one POP's process, part by part, and the task that looks every second.

    watch = Watch(config.pop, WatchParts(home, clock, store, renderer, audit, svid))
    watch.health.look()               # for `/readyz` and `/metrics`
    asyncio.create_task(watch.run())  # tries the disk again, and tells the log what begins and ends

A worker looks when its lead asks, and the lead speaks for it. What only the lead knows (sync, workers) only it says.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from consent_core.audit.writer import AuditWriter
from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError
from consent_core.formats.status import OUTBOX_LATE_S
from consent_core.health.certificates import certificate_look
from consent_core.health.disk import disk_faults
from consent_core.health.watching import Faults, Health, Look
from consent_core.http.clients import Clients
from consent_core.trust.svid_source import SvidSource
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.components import Components
from runtime_host.pop.sync.sync import Sync
from runtime_host.pop.workers.supervisor import Supervisor
from runtime_host.wasm.engine import shared_ticker

LOOK_EVERY_S = 1.0
TRY_EVERY_S = 30.0  # a write to the disk, which costs an fsync
STARTING_S = 60.0  # as long as an answer of the control plane counts
CLOCK_OFF_S = 30  # a token lives 300 s; NTP keeps a clock within 1 s


@dataclass(frozen=True, slots=True)
class WatchParts:
    """The parts of a process that can be ill. `svid`: None without a mesh; `audit`: None where none is kept."""

    home: Path
    clock: Clock
    store: PopStore
    renderer: Renderer
    audit: AuditWriter | None
    svid: SvidSource | None
    clients: Clients


class Watch:
    """The health of one process. `_tried_at`: `elapsed` of the last trial write."""

    def __init__(self, name: str, parts: WatchParts) -> None:
        self.health = Health(name, _own_looks(parts))
        self._parts = parts
        self._tried_at = parts.clock.elapsed()

    async def run(self) -> None:
        """Look, and try the disk, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """One look. A disk that refused is tried at each, any other every `TRY_EVERY_S`; no request waits for it."""
        now, store = self._parts.clock.elapsed(), self._parts.store
        if store.database.faults.faults() or now - self._tried_at >= TRY_EVERY_S:
            self._tried_at = now
            with contextlib.suppress(ConsentEdgeError):  # noted where `faults` finds it
                await asyncio.to_thread(store.database.try_write)
        self.health.look()


def _own_looks(parts: WatchParts) -> Iterator[Look]:
    """What each process of a POP says of itself."""
    folders = [parts.home] if parts.audit is None else [parts.home, parts.audit.directory]
    yield lambda: disk_faults(folders)
    yield parts.store.database.faults.faults
    yield parts.renderer.faults
    yield shared_ticker().faults
    yield lambda: forwarding_faults(parts.clients)
    if parts.audit is not None:
        yield parts.audit.faults
    if parts.svid is not None:
        yield certificate_look(parts.svid, parts.clock)


def lead_looks(sync: Sync, components: Components, clock: Clock, supervisor: Supervisor | None) -> Iterator[Look]:
    """What the process that follows the control plane says of the whole POP."""
    yield sync_look(sync, clock)
    yield lambda: sync_faults(sync)
    yield lambda: component_faults(components.refused)
    if supervisor is not None:
        yield supervisor.faults


def sync_look(sync: Sync, clock: Clock) -> Callable[[], Faults]:
    """`starting` until the first time in sync, for a minute at most; later `control-plane-away` while out of it."""
    begun, seen = clock.elapsed(), False

    def look() -> Faults:
        nonlocal seen
        if sync.trust_state.in_sync():
            seen = True
            return {}
        if not seen and clock.elapsed() - begun < STARTING_S:
            return {"starting": "not in sync yet"}
        return _away(sync)

    return look


def _away(sync: Sync) -> Faults:
    """What keeps this POP out of sync: an alarm of the log says more, and is said elsewhere."""
    if sync.alarm is not None:
        return {}
    failure = sync.failures.last
    return {"control-plane-away": "no answer yet" if failure is None else f"{failure.code}: {failure.message}"}


def sync_faults(sync: Sync) -> Faults:
    """Clock, log, policy and outbox. Raises: Unavailable("store-io")."""
    off, waits = sync.clock_off(), sync.outgoing.oldest_s()
    found = {
        "clock-off": f"{abs(off)} s {'ahead of' if off > 0 else 'behind'} the control plane"
        if abs(off) >= CLOCK_OFF_S
        else None,
        "log-alarm": sync.alarm,
        "policy-missing": "none has arrived" if sync.trust_state.policy is None else None,
        "outbox-late": f"the oldest waits for {waits} s" if waits > OUTBOX_LATE_S else None,
    }
    return {code: detail for code, detail in found.items() if detail is not None}


def component_faults(refused: Mapping[str, str]) -> Faults:
    """`component-distrusted`, with how many."""
    return {"component-distrusted": f"{len(refused)} out of service"} if refused else {}


def forwarding_faults(clients: Clients) -> Faults:
    """`proxy-unknown` once a peer that is no trusted proxy has sent forwarding headers."""
    return {"proxy-unknown": f"{clients.strangers} requests"} if clients.strangers else {}
