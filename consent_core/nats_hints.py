"""Hints over NATS: the head of the log, on one subject. A hint wakes a poll; nothing it says is believed.

    await publish("nats://127.0.0.1:4222", log.hints.beyond, failed)     # the control plane, until cancelled
    await listen("nats://127.0.0.1:4222", sync.hint, failed)             # a POP, until cancelled

The control plane's own stream takes one connection a POP; a NATS cluster carries hints to thousands. The control plane
publishes through JetStream: the server acknowledges each head and keeps the newest one, and a head that it did not
acknowledge is published again. A POP subscribes plainly: at each connection it polls anyway. Both clients reconnect by
themselves for ever.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import StorageType, StreamConfig

from consent_core.errors import ConsentEdgeError, Unavailable

SUBJECT = "consent-edge.log.head"
STREAM = "consent-edge-hints"
PATIENCE_S = 2  # for a connection, and for an acknowledgement
RECONNECT_S = 1  # between two attempts
PING_S = 10  # a server that leaves two in a row unanswered is given up
AGAIN_S = 15.0  # a head that does not move is published again: a server that began anew does not know it
GAP_S = 0.05  # between two wakes: a flood of hints is 20 polls a second at most
MAX_WAITING = 64  # hints that wait for a busy POP; more are dropped, since one says as much as many

_URL = re.compile(r"(?:nats|tls)://(?:[^\s/@]+@)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_FAULTS = (Error, OSError, TimeoutError)

Beyond = Callable[[int, float], Awaitable[int]]  # (after, seconds) -> the head, as soon as it is higher than `after`
Failed = Callable[[ConsentEdgeError], None]  # told once of each time the server is away; nothing ends with it


def read_push_url(text: str) -> str:
    """A NATS server's address: `nats://host:port` or `tls://user:password@host:port`. Raises: ValueError."""
    if not _URL.fullmatch(text):
        raise ValueError("push_url: expected nats://host:port or tls://host:port")
    return text


async def listen(url: str, wake: Callable[[], None], failed: Failed) -> None:
    """Call `wake` at each connection and each hint, at most every `GAP_S`, until cancelled."""
    news = asyncio.Event()

    async def heard(_: Msg) -> None:
        news.set()

    async with _connection(url, _Outage(url, failed), news.set) as client:
        await client.subscribe(SUBJECT, cb=heard, pending_msgs_limit=MAX_WAITING)
        while _wanted():
            await news.wait()
            news.clear()
            wake()
            await asyncio.sleep(GAP_S)


async def publish(url: str, beyond: Beyond, failed: Failed) -> None:
    """Publish each head, and the newest one every `AGAIN_S`, until cancelled."""
    outage = _Outage(url, failed)
    async with _connection(url, outage) as client:
        published = -1
        while _wanted():
            head = await beyond(published, AGAIN_S)
            try:
                await _publish(client, head)
                published = head
                outage.over()
            except _FAULTS as error:
                outage.begun(error)
                await asyncio.sleep(RECONNECT_S)


async def _publish(client: Client, head: int) -> None:
    stream = client.jetstream(timeout=PATIENCE_S)
    await stream.add_stream(
        StreamConfig(name=STREAM, subjects=[SUBJECT], max_msgs_per_subject=1, storage=StorageType.MEMORY)
    )
    await stream.publish(SUBJECT, str(head).encode())


@asynccontextmanager
async def _connection(
    url: str, outage: "_Outage", connected: Callable[[], None] = lambda: None
) -> AsyncIterator[Client]:
    """A client that connects again for ever. `connected` is called each time it has."""

    async def on_connected() -> None:
        outage.over()
        connected()

    async def on_error(error: Exception) -> None:
        outage.begun(error)

    client = await nats.connect(
        url, name="consent-edge", max_reconnect_attempts=-1, reconnect_time_wait=RECONNECT_S, ping_interval=PING_S,
        connect_timeout=PATIENCE_S, reconnected_cb=on_connected, error_cb=on_error,
    )  # fmt: skip
    try:
        await on_connected()
        yield client
    finally:
        with suppress(*_FAULTS):
            async with asyncio.timeout(PATIENCE_S):
                await client.close()


def _wanted() -> bool:
    """Whether this task was not cancelled. Asked each time, since the client may take a cancellation for a time-out."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


class _Outage:
    """Says once that the server is away, however many attempts fail meanwhile. The message holds no password."""

    def __init__(self, url: str, failed: Failed) -> None:
        self._place = re.sub(r"//[^/@]*@", "//", url)
        self._failed = failed
        self._told = False

    def begun(self, error: Exception) -> None:
        if not self._told:
            self._failed(
                Unavailable("push-unreachable", f"NATS at {self._place}: {str(error) or type(error).__name__}")
            )
        self._told = True

    def over(self) -> None:
        self._told = False
