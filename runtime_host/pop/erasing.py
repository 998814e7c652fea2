"""Which parts of one process a purge must empty, and by whose word the others are empty.

    erasing = erasing_of(config.pop, parts, sync, store)    # an `Eraser`; in a worker a `Deputy`
    asyncio.create_task(erasing.run())

The lead sees to `pop.db`, its own memory and trail, and the trails of workers that this POP no longer has. It waits for
the word of each worker about that worker's memory and trail.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.audit.writer import AuditWriter
from runtime_host.pop.evidence.erasing import AtWorker, Deputy, Eraser, Memory, Part, Shreddable
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync import Sync
from runtime_host.pop.sync.worker import WorkerSync
from runtime_host.pop.workers.supervisor import Supervisor

KINDS = ("memory", "trail")  # parts of a purge that each process has


@dataclass(frozen=True, slots=True)
class ErasedParts:
    """Of one process: what it remembers, the trail it writes, trails without a writer, the workers it leads."""

    memory: Memory
    audit: AuditWriter | None
    retired: tuple[AuditWriter, ...]
    supervisor: Supervisor | None


def erasing_of(pop: str, parts: ErasedParts, sync: Sync | WorkerSync, store: PopStore) -> Eraser | Deputy:
    """What sees to visitors who were purged, in this process. It begins with those of the time before."""
    if isinstance(sync, WorkerSync):
        return _deputy(parts, sync, store)
    named = {f"memory.{pop}": parts.memory, **_trails(parts), **_worker_parts(pop, parts.supervisor)}
    eraser = Eraser(store, named, sync.failures.count, sync.report_soon)
    eraser.again(store.revocations.erased)
    return eraser


def _deputy(parts: ErasedParts, sync: WorkerSync, store: PopStore) -> Deputy:
    trail = () if parts.audit is None else (Shreddable(parts.audit),)
    deputy = Deputy((parts.memory, *trail), sync.shared_state, sync.failures.count)
    deputy.erase(store.revocations.erased, sync.erased.through)  # what came before this process
    sync.erased.on_through = deputy.through
    return deputy


def _trails(parts: ErasedParts) -> Mapping[str, Part]:
    own = () if parts.audit is None else (parts.audit,)
    return {f"trail.{trail.directory.name}": Shreddable(trail) for trail in (*own, *parts.retired)}


def _worker_parts(pop: str, supervisor: Supervisor | None) -> Mapping[str, Part]:
    if supervisor is None:
        return {}
    state = supervisor.shared_state
    workers = {place: AtWorker(state, place) for place in range(1, state.workers)}
    return {f"{kind}.{pop}.w{place + 1}": at for place, at in workers.items() for kind in KINDS}
