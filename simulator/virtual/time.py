"""Simulated time: an asyncio event loop that never waits, and the clocks of simulated machines.

When nothing is ready the loop's time jumps to the next timer. It stands still while worker threads are busy (the real
control plane runs its transactions in them), so computing takes no simulated time at all.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio.to_thread

EPOCH = 1_800_000_000  # Unix seconds at which every simulation begins


class VirtualLoop(asyncio.SelectorEventLoop):
    """`virtual`: simulated seconds since the start. `threads`: anyio's, once `run` knows them."""

    def __init__(self) -> None:
        self.virtual = 0.0
        self.threads: anyio.CapacityLimiter | None = None
        super().__init__(_Jump(self))

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.virtual


class _Jump(selectors.DefaultSelector):
    """A selector that lets simulated time pass instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or (self._loop.threads is not None and self._loop.threads.borrowed_tokens):
            return super().select(None)  # a worker thread will say when it is done
        self._loop.virtual += timeout
        return ready


T = TypeVar("T")


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on simulated time. Worker threads take turns, so that a run can be repeated."""

    async def prepared() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.threads = anyio.to_thread.current_default_thread_limiter()
        loop.threads.total_tokens = 1
        return await main

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(prepared())


class MachineClock:
    """The clocks of one simulated machine. `skew`: seconds its wall clock is ahead; its CLOCK_BOOTTIME is right."""

    def __init__(self, loop: asyncio.AbstractEventLoop, skew: float = 0.0) -> None:
        self._loop = loop
        self._skew = skew

    def now(self) -> int:
        """Unix seconds, UTC, as this machine believes."""
        return int(EPOCH + self._loop.time() + self._skew)

    def elapsed(self) -> float:
        """Seconds since the simulation began."""
        return self._loop.time()
