"""Tells the control plane what is in force at this POP, with the receipts of purges carried out since the last time."""

from collections.abc import Callable, Mapping
from typing import Any

from consent_core.errors import Unavailable
from consent_core.formats.canonical import canonical_json
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.store import RECEIPT
from runtime_host.pop.sync.fetch import ControlPlane

MAX_RECEIPTS = 100  # in one report; the rest goes with the next


class Reporter:
    """One POP's status reports. `state()`: everything of the body but the receipts."""

    def __init__(
        self, pop: str, store: PopStore, control_plane: ControlPlane, state: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._path = f"/v1/pops/{pop}/status"
        self._store = store
        self._control_plane = control_plane
        self._state = state

    async def report(self) -> None:
        """Send one report. Receipts count as delivered once it is answered; the control plane knows them by `seq`.

        Raises: Unavailable.
        """
        while True:
            rows = self._store.queue.pending(RECEIPT, MAX_RECEIPTS)
            body = canonical_json({**self._state(), "receipts": [dict(row.body) for row in rows]})
            reply = await self._control_plane.send("POST", self._path, body)
            if reply.status >= 300:
                raise Unavailable("control-plane-failed", f"the status report was answered {reply.status}")
            if rows:
                self._store.queue.done(rows)
            if len(rows) < MAX_RECEIPTS:
                return
