"""Something that is done again and again: at intervals, sooner when woken, sooner after a failure."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from consent_core.errors import ConsentEdgeError
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.failures import Failures

SPREAD = 0.1  # of the interval, so that many POPs do not ask at the same moment


class PeriodicTask:
    """One repeated action. A failure of ours is told to `failed` and tried again; any other ends the periodic task."""

    def __init__(
        self,
        action: Callable[[], Awaitable[object]],
        every_s: float,
        retry_s: float,
        failed: Callable[[ConsentEdgeError], None],
        seed: str,
    ) -> None:
        self._action = action
        self._every_s = every_s
        self._retry_s = retry_s
        self._failed = failed
        self._wake = asyncio.Event()
        self._random = random.Random(seed)  # noqa: S311  spreads load, guards nothing

    def wake(self) -> None:
        """Do it now; if it is under way, once more afterwards. However often this is said, once."""
        self._wake.set()

    async def run(self) -> None:
        """Repeat until cancelled."""
        while True:
            self._wake.clear()
            pause = await self._once()
            await self._wait(pause * (1 + SPREAD * (self._random.random() - 0.5)))

    async def _once(self) -> float:
        try:
            await self._action()
        except ConsentEdgeError as error:
            self._failed(error)
            return self._retry_s
        return self._every_s

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def periodic(
    config: SyncConfig, failures: Failures, action: Callable[[], Awaitable[object]], every_s: float, name: str
) -> PeriodicTask:
    """A task of the sync room: its failures are counted, and tried again after `retry_s`."""
    return PeriodicTask(action, every_s, min(config.retry_s, every_s), failures.count, f"{config.pop}/{name}")
