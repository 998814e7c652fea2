"""Wakes requests that wait for the log to move. A hint may be lost or come twice: the numbered poll is the truth.

Commits happen in worker threads, waiting in the event loop; `announce` carries the news across. A commit by another
process on the same store is noticed by looking every `RECHECK_S` while somebody waits.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool

from consent_core.formats.revocation import hint

RECHECK_S = 0.25
KEEP_ALIVE_S = 15.0  # below the idle time-out of common proxies

_Waiter = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Hints:
    """`_waiters` and `_known` are owned by `_lock`."""

    def __init__(self, head: Callable[[], int]) -> None:
        self._head = head
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._known = 0
        self._closed = False
        self._looked_at = 0.0

    def announce(self, head: int) -> None:
        """Entries up to `head` are committed. Callable from any thread."""
        with self._lock:
            self._known = max(self._known, head)
            waiters = tuple(self._waiters)
        for loop, event in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Let everybody who waits go: the process ends."""
        self._closed = True
        self.announce(0)

    async def beyond(self, after: int, timeout_s: float) -> int:
        """The head as soon as it is higher than `after`; the unchanged head after `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        waiter = (loop, asyncio.Event())
        with self._lock:
            self._waiters.add(waiter)
        try:
            head = await self._look(loop.time(), at_once=True)
            while head <= after and not self._closed and (left := deadline - loop.time()) > 0:
                await _set_within(waiter[1], min(RECHECK_S, left))
                head = await self._look(loop.time())
            return head
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events: the head now, and each time it moves; a comment where nothing happens for long."""
        seen = -1
        while not self._closed:
            head = await self.beyond(seen, KEEP_ALIVE_S)
            yield hint(head) if head > seen else b": still here\n\n"
            seen = max(seen, head)

    async def _look(self, now: float, at_once: bool = False) -> int:
        """The head; the store is asked at most every `RECHECK_S` for all waiters together."""
        if at_once or now - self._looked_at >= RECHECK_S:
            self._looked_at = now
            head = await run_in_threadpool(self._head)
            if head > self._known:
                self.announce(head)
        return self._known


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
        event.clear()
    except TimeoutError:
        return
