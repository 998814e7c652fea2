"""Carries withdrawals said at this POP to the control plane: every one, in order, counted once.

The idempotency key was chosen with the withdrawal. A process killed between the answer and noting it sends the same
key again. What the control plane will never take (an unknown session, say) is noted as refused: it stays in force here.
"""

import json

from consent_core.crash import crash_point
from consent_core.formats.consent import read_answer
from consent_core.formats.session import CREDENTIAL
from consent_core.formats.withdrawals import WithdrawalRow, write_row
from runtime_host.pop.stores import PopStore, Withdrawal
from runtime_host.pop.sync.fetch import ControlPlane, Reply

PATH = "/v1/consents/-"  # the POP knows the session, not the visitor's `sub`


class Forwarder:
    """Empties one POP's outbox."""

    def __init__(self, pop: str, store: PopStore, control_plane: ControlPlane) -> None:
        self._pop = pop
        self._store = store
        self._control_plane = control_plane

    async def forward(self) -> int:
        """Send what is pending; how many ended. Raises: Unavailable, Untrusted("consent-answer"): the rest waits."""
        ended = 0
        while batch := self._store.outbox.pending():
            for withdrawal in batch:
                await self._send(withdrawal)
                ended += 1
        return ended

    async def _send(self, withdrawal: Withdrawal) -> None:
        w = withdrawal
        today = CREDENTIAL.fullmatch(w.session) is not None  # else of version 0.1.0
        withdraw, legacy = (w.session if today else None), (None if today else w.session)
        body = write_row(WithdrawalRow(w.key, withdraw, legacy, w.subject, None, w.categories, self._pop, 0))
        crash_point("outbox-sending")
        reply = await self._control_plane.send("DELETE", PATH, body)
        crash_point("outbox-answered")
        if reply.status < 300:
            self._store.forwarded(w, read_answer(reply.body).ver)
        else:
            self._store.refused(w, _code(reply))
        crash_point("outbox-noted")


def _code(reply: Reply) -> str:
    """The control plane's own word for a refusal, or its status where it gave none."""
    try:
        return str(json.loads(reply.body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"http-{reply.status}"
