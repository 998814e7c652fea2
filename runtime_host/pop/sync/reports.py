"""Tells the control plane what is in force at this POP, with the receipts of purges carried out since the last time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from consent_core.errors import Unavailable
from consent_core.formats.status import PopStatus, PurgeReceipt, write_status
from runtime_host.pop.stores import PopStore, Row
from runtime_host.pop.stores.erasures import RECEIPT
from runtime_host.pop.sync.fetch import ControlPlane

MAX_RECEIPTS = 100  # in one report; the rest goes with the next


@dataclass(frozen=True, slots=True)
class Trails:
    """Where this POP's audit trails end, asked at each report. `own`: the first; `others`: by name."""

    own: Callable[[], str | None] = lambda: None
    others: Callable[[], Mapping[str, str]] = dict


class Reporter:
    """One POP's status reports. `state()`: everything of one but the receipts."""

    def __init__(self, pop: str, store: PopStore, control_plane: ControlPlane, state: Callable[[], PopStatus]) -> None:
        self._path = f"/v1/pops/{pop}/status"
        self._store = store
        self._control_plane = control_plane
        self._state = state

    async def report(self) -> None:
        """Send reports until no receipt is left. A receipt is delivered once its report is answered.

        Raises: Unavailable.
        """
        while True:
            rows = self._store.queue.pending(RECEIPT, MAX_RECEIPTS)
            await self._send(replace(self._state(), receipts=tuple(_receipt(row) for row in rows)))
            if rows:
                self._store.delivered(rows)
            if len(rows) < MAX_RECEIPTS:
                return

    async def _send(self, status: PopStatus) -> None:
        reply = await self._control_plane.send("POST", self._path, write_status(status))
        if reply.status >= 300:
            raise Unavailable("control-plane-failed", f"the status report was answered {reply.status}")


def _receipt(row: Row) -> PurgeReceipt:
    body = row.body
    return PurgeReceipt(body["seq"], body["subject"], body["at"], body["deleted"], body.get("ends", {}))
