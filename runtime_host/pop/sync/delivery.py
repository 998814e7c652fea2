"""Sends what this POP kept to a control plane that was restored from a backup and asks for it; once per new log.

Everything that `stores.raw` holds, every withdrawal of the outbox, and the signed policy in force. A delivery that
breaks off is begun anew: what came twice counts once.
"""

from collections.abc import Iterator
from pathlib import Path

from consent_core.errors import Unavailable
from consent_core.formats.kept import BUNDLE, WITHDRAWAL, Kept, pages, write_kept
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.fetch import ControlPlane


class Deliverer:
    """One POP's deliveries. `bundle`: the file with the policy in force."""

    def __init__(self, pop: str, store: PopStore, control_plane: ControlPlane, bundle: Path) -> None:
        self._pop = pop
        self._store = store
        self._control_plane = control_plane
        self._bundle = bundle

    async def deliver(self, origin: str) -> None:
        """Send everything to the log `origin`, unless it has it. Raises: Unavailable: it is asked for again."""
        if self._store.log.delivered == origin:
            return
        for page in pages(self._kept()):
            reply = await self._control_plane.send("POST", f"/v1/pops/{self._pop}/kept", write_kept(page))
            if reply.status >= 300:
                raise Unavailable("control-plane-failed", f"a delivery was answered {reply.status}")
        self._store.log.note_delivered(origin)

    def _kept(self) -> Iterator[Kept]:
        last = 0
        while rows := self._store.raw.after(last):
            yield from (Kept(row.kind, row.body) for row in rows)
            last = rows[-1].id
        yield from (Kept(WITHDRAWAL, row) for row in self._store.raw.withdrawals(self._pop))
        if self._bundle.exists():
            yield Kept(BUNDLE, self._bundle.read_bytes())
