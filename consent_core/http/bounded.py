"""The HTTP/1.1 protocol of every listener: uvicorn's, with bounded requests and a short way for whole answers.

An ASGI server takes an answer in two messages, looks at every header and writes twice. A POP's usual answer is
complete when it begins, so its application may hand it over at once: `scope["extensions"][WHOLE]` takes status,
headers and body, and one gathered write carries them. What it does not take goes the usual way.
"""

import asyncio
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from consent_core.http._uvicorn import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from consent_core.http.answers import WHOLE, Header

MAX_HEAD_BYTES = 64 * 2**10  # of one request; what is above a token's own cap still gets the default and a code
MAX_HEAD_LINES = 256
RECEIVE_S = 15.0  # between two looks at whether a request is still arriving; the second one gives it up
VERSIONS = ("1.0", "1.1")


class Malformed(Exception):
    """Raised through the parser, which makes it a 400 and the end of the connection."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What a client may send before its request is complete is bounded, in bytes and in time.

    `_unread`: bytes since the last complete head or the last byte of a body: a head, or trailers, or lines of chunks.
    """

    _unread = 0
    _advanced = False  # a head is complete, or a body grew, since the last read began
    _arriving = True  # a request has begun, or the connection has, and it is not complete
    _late: tuple[object, ...] = ()  # the request that was arriving when the timer looked last
    _timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None  # of several requests sent ahead, the one under way
    _extensions: Mapping[str, Any] = MappingProxyType({})  # of every request of this connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected, and is to ask for something."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(RECEIVE_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """No more to come: what this connection held goes, without the garbage collector."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        for waiting, _ in self.pipeline:
            waiting.on_response = _nothing  # it never runs, and it holds this connection
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:  # `cycle` is the last that came
            self._answering.disconnected = True
            self._answering.message_event.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._arriving = True

    def on_message_complete(self) -> None:
        """It is all there."""
        super().on_message_complete()
        self._arriving = False
        self._forget()

    def on_response_complete(self) -> None:
        """It is answered."""
        super().on_response_complete()
        self._forget()

    def _forget(self) -> None:
        """Hold nothing of a request that is all there and answered: an idle connection may live for long."""
        if self._arriving or self.cycle is None or not self.cycle.response_complete:
            return
        self.cycle = self.scope = self._answering = None  # type: ignore[assignment]  # as before the first one
        self.headers, self.url, self._late = [], b"", ()

    def on_headers_complete(self) -> None:
        """What follows is body, which handlers bound, and trailers, which are read by no one."""
        self._check_head()
        super().on_headers_complete()
        self._advanced = True
        extensions: Any = {WHOLE: partial(_write, weakref.ref(self.cycle)), **self._extensions}
        self.scope["extensions"] = extensions
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """The body grew."""
        super().on_body(body)
        self._advanced = True

    def data_received(self, data: bytes) -> None:
        """Count what has come since a request last grew. Too much: 400, and the connection ends."""
        self._unread += len(data)
        super().data_received(data)
        if self._advanced:
            self._unread, self._advanced = 0, False
        elif self._unread > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request header too large.")

    def _check_head(self) -> None:
        """Raises: Malformed for a head that is too long, names no host or two, or is of another version."""
        names = [name for name, _ in self.headers]
        version, hosts = self.parser.get_http_version(), names.count(b"host")
        if version not in VERSIONS or hosts > 1 or (hosts == 0 and version == "1.1"):
            raise Malformed
        if len(names) > MAX_HEAD_LINES or (self._unread > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES):
            raise Malformed

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _look(self) -> None:
        """Close if the same request is still arriving as at the look before: no client types that slowly."""
        late, self._late = self._late, (self.scope,) if self._arriving else ()
        if self._late and late and late[0] is self.scope:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(RECEIVE_S, self._look)


def _nothing() -> None:
    """What a request that never ran has to say at its end."""


def _write(known: "weakref.ref[RequestResponseCycle]", status: int, headers: Sequence[Header], body: bytes) -> bool:
    """Write a complete answer, as the cycle's `send` would in two messages.

    `known` is weak: the request's scope holds this, and the cycle holds the scope.
    Not taken: while the client reads too slowly, where the connection ends with this answer, without a length.
    Raises: ValueError for a header that would begin another line.
    """
    cycle = known()
    if cycle is None or cycle.flow.write_paused or cycle.disconnected or cycle.response_started or not cycle.keep_alive:
        return False
    lines = [name + b": " + value for name, value in (*cycle.default_headers, *headers)]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise ValueError("a header with a line break")
    if b"\r\ncontent-length: " not in head:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.writelines((STATUS_LINE[status] + head + b"\r\n\r\n", body))
    cycle.message_event.set()
    cycle.on_response()
    return True
