"""`GET /v1/consent/stream`: tells a visitor's open pages that their consent is not what it was (server-sent events).

    event: change
    data: {"reason":"consent"}            or "revoked", "policy", "sync"

A page that is told asks `GET /v1/consent` what holds now; the stream itself carries nothing about anybody. Who a
stream belongs to is settled when it opens; a page whose visitor changes opens a new one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.http.answers import INERT, Header, to_json
from consent_core.http.asgi import Receive, Send
from runtime_host.pop.serving.rates import STREAM_SHARE

LOOK_EVERY_S = 0.05  # how soon a change in the log reaches open pages; one integer is compared
RETRY_S = 30  # for one of them to end
PING = b": ping\n\n"
_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    *INERT,
)


@dataclass(eq=False, slots=True)
class Listener:
    """One open page. `worth`: what its visitor's consent comes down to, as it was last told."""

    subject: str | None
    worth: Callable[[], object]
    told: object = None
    client: str | None = None  # None: not limited
    news: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(4))

    def tell(self, reason: str) -> None:
        """Have the page told. A page that does not listen fast enough already has news waiting."""
        if not self.news.full():
            self.news.put_nowait(reason)


class Streams:
    """All open streams of one POP, and the watch that turns a new generation into news for those it concerns."""

    def __init__(
        self,
        generation: Callable[[], int],
        most: int,
        ping_s: float,
        tell_others: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._generation = generation
        self._tell_others = tell_others
        self._most = most
        self._ping_s = ping_s
        self._open: set[Listener] = set()
        self._of_client: Counter[str] = Counter()
        self._closing = False
        self._seen = generation()

    def __len__(self) -> int:
        return len(self._open)

    def tell(self, subject: str, reason: str) -> None:
        """Tell every open page of one visitor, at every process of the POP."""
        self.hear(subject, reason)
        self._tell_others(subject, reason)

    def hear(self, subject: str, reason: str) -> None:
        """Tell every page of one visitor that is open here."""
        for listener in self._open:
            if listener.subject == subject:
                listener.told = listener.worth()
                listener.tell(reason)

    def look(self) -> None:
        """If something changed since the last look, tell the pages whose consent is worth something else now."""
        generation = self._generation()
        if generation == self._seen:
            return
        for listener in self._open:
            worth = listener.worth()
            if worth != listener.told:
                listener.told = worth
                listener.tell("revoked")
        self._seen = generation

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._open:
                with suppress(ConsentEdgeError):  # a disk that cannot say: look again
                    self.look()
            else:
                self._seen = self._generation()

    def close(self) -> None:
        """End every stream, so that a stopping process need not wait for them."""
        self._closing = True
        for listener in self._open:
            listener.tell("closing")

    def require_room(self, client: str | None = None) -> None:
        """Refuse one more page before its answer begins.

        Raises: Unavailable("too-many-streams"); Rejected("client-rate", 429) where one client has its share.
        """
        if client is not None and self._of_client[client] >= self._most // STREAM_SHARE:
            refusal = Rejected("client-rate", "one address, too many open streams", status=429)
            refusal.retry_after_s = RETRY_S
            raise refusal
        if len(self._open) >= self._most:
            raise Unavailable("too-many-streams", f"{self._most} pages are listening already")

    async def run(self, listener: Listener, receive: Receive, send: Send) -> None:
        """Serve one page until it hangs up."""
        listener.told = listener.worth()
        self._open.add(listener)
        self._count(listener, 1)
        gone = asyncio.ensure_future(_hang_up(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._talk(listener, gone, send)
        finally:
            self._open.discard(listener)
            self._count(listener, -1)
            gone.cancel()

    def _count(self, listener: Listener, change: int) -> None:
        """Of the listener's client. A client without a stream is not remembered."""
        if listener.client is not None:
            self._of_client[listener.client] += change
            if not self._of_client[listener.client]:
                del self._of_client[listener.client]

    async def _talk(self, listener: Listener, gone: "asyncio.Future[None]", send: Send) -> None:
        text = b"retry: 1000\n\n"
        while not gone.done() and not self._closing:
            await send({"type": "http.response.body", "body": text, "more_body": True})
            text = await self._next(listener, gone)
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})

    async def _next(self, listener: Listener, gone: "asyncio.Future[None]") -> bytes:
        news = asyncio.ensure_future(listener.news.get())
        try:
            await asyncio.wait((news, gone), timeout=self._ping_s, return_when=asyncio.FIRST_COMPLETED)
            return _event(news.result()) if news.done() else PING
        finally:
            news.cancel()


def _event(reason: str) -> bytes:
    return b"event: change\ndata: " + to_json({"reason": reason}) + b"\n\n"


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
