"""The control plane's stream: a hint that there is something to ask for. Nothing it says is believed.

Any event, also a new connection, wakes the poll. A stream that ends, or falls silent for longer than its pings
allow, is opened again with growing pauses (stamina); meanwhile the poll's own interval carries everything.
"""

import asyncio
from collections.abc import Callable

import httpx
import stamina
from httpx_sse import SSEError, aconnect_sse

PATH = "/v1/revocations/stream"
LONGEST_PAUSE_S = 5.0
REOPEN_S = 0.2  # after a stream that worked; a server that hangs up on everybody is not stormed


async def listen(client: httpx.AsyncClient, wake: Callable[[], None], timeout_s: float, silence_s: float) -> None:
    """Stay connected until cancelled, and call `wake` at every sign of life."""
    limits = httpx.Timeout(timeout_s, read=silence_s)
    while True:
        async for attempt in stamina.retry_context(
            on=(httpx.HTTPError, SSEError, OSError),
            attempts=None,
            timeout=None,
            wait_initial=0.1,
            wait_max=LONGEST_PAUSE_S,
            wait_jitter=0.5,
        ):
            with attempt:
                if not await _listen_once(client, wake, limits):
                    raise httpx.RemoteProtocolError("the stream ended before it said anything")
        await asyncio.sleep(REOPEN_S)


async def _listen_once(client: httpx.AsyncClient, wake: Callable[[], None], limits: httpx.Timeout) -> bool:
    """Follow one stream to its end; whether it said anything (then the next attempt need not wait long)."""
    said = False
    async with aconnect_sse(client, "GET", PATH, timeout=limits) as source:
        source.response.raise_for_status()
        wake()
        try:
            async for _ in source.aiter_sse():
                said = True
                wake()
        except httpx.HTTPError:
            if not said:
                raise
    return said
