"""What a POP has beside its sync room: somebody who sees to purges, for tests that put a POP's parts together."""

from runtime_host.pop.evidence.erasing import Eraser
from runtime_host.pop.sync import Sync


def with_eraser(sync: Sync) -> Sync:
    """Erase what the log purges in the stores of this POP, at once and at this start."""
    eraser = Eraser(sync.store, {}, sync.failures.count, sync.report_soon)
    eraser.step()
    sync.changes.subscribe(lambda change: eraser.purged(change.subject) if change.kind == "purge" else None)
    return sync
