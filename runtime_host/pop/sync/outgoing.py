"""Withdrawals said at this process: in force here at once, then told to the control plane.

outgoing.withdraw(withdrawal)                       # durable and in force when it returns
await outgoing.has_forwarded([withdrawal], 0.5)     # whether the control plane has it by then
"""

import asyncio
from collections.abc import Sequence

import httpx

from consent_core.clock import Clock
from runtime_host.pop.stores import PopStore, Withdrawal
from runtime_host.pop.stores.store import DeniedText
from runtime_host.pop.sync.changes import Changes
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.failures import Failures
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.forwarder import TIMEOUT_S, Forwarder
from runtime_host.pop.sync.periodic import PeriodicTask, periodic


class Outgoing:
    """The withdrawals of one process. `task`: forwards what waits, every `poll_s` and when woken."""

    def __init__(
        self,
        config: SyncConfig,
        store: PopStore,
        client: httpx.AsyncClient,
        clock: Clock,
        changes: Changes,
        failures: Failures,
    ) -> None:
        self._store = store
        self._clock = clock
        self._changes = changes
        self._forwarder = Forwarder(config.pop, store, ControlPlane(client, TIMEOUT_S))
        self.task: PeriodicTask = periodic(config, failures, self._forwarder.forward, config.poll_s, "outbox")

    def withdraw(self, *withdrawals: Withdrawal, text: DeniedText | None = None) -> None:
        """Put a "no" in force here, durably, then see that it is forwarded. Raises: Unavailable("store-io")."""
        self._changes.publish(self._store.withdraw(*withdrawals, text=text))
        self.task.wake()

    async def say(self, *withdrawals: Withdrawal, text: DeniedText | None = None) -> None:
        """The same without holding up the event loop. It is carried out although its caller gives up."""
        await asyncio.shield(asyncio.create_task(self._say(withdrawals, text)))

    async def _say(self, withdrawals: Sequence[Withdrawal], text: DeniedText | None) -> None:
        store = self._store
        self._changes.publish(await store.database.writer.run(lambda: store.withdraw(*withdrawals, text=text)))
        self.task.wake()

    async def has_forwarded(self, withdrawals: Sequence[Withdrawal], within_s: float) -> bool:
        """See that the control plane hears of these; whether it has all of them by then."""
        awaited = [self._forwarder.ended(w) for w in withdrawals if self._store.outbox.is_pending(w)]
        if not awaited:
            return True
        self._forwarder.start()
        await asyncio.wait(awaited, timeout=within_s)
        return all(one.done() and one.exception() is None for one in awaited)

    async def tell_at_once(self, withdrawals: Sequence[Withdrawal]) -> bool:
        """Tell the control plane of what no disk here keeps; whether it took it all. Raises: Unavailable, Untrusted."""
        return all(isinstance(end, int) for _, end in await self._forwarder.tell(withdrawals))

    async def forward(self) -> int:
        """Forward withdrawals; how many ended. Raises: Untrusted, Unavailable."""
        return await self._forwarder.forward()

    def oldest_s(self) -> int:
        """How long the oldest "no" has waited for the control plane."""
        _, oldest = self._store.outbox.waiting()
        return 0 if oldest is None else max(0, self._clock.now() - oldest)
