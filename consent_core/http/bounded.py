"""The HTTP/1.1 protocol of a POP's listeners: uvicorn's, with bounded requests and a short way for whole answers.

An ASGI server takes an answer in two messages, looks at every header and writes twice. A POP's usual answer is
complete when it begins, so its application may hand it over at once: `scope["extensions"][WHOLE]` takes status,
headers and body, and one gathered write carries them. What it does not take goes the usual way.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from consent_core.http.answers import WHOLE, Header

MAX_HEAD_BYTES = 2 * 2**20  # of one request; what is above a token's own cap still gets the default and a code
RECEIVE_S = 15.0  # between two looks at whether a request is still arriving; the second one gives it up


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What a client may send before its request is complete is bounded, in bytes and in time."""

    _head = 0  # bytes of the request line and headers that have come
    _in_head = True
    _arriving = True  # a request has begun, or the connection has, and it is not complete
    _late: tuple[object, ...] = ()  # the request that was arriving when the timer looked last
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected, and is to ask for something."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(RECEIVE_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """No more to come."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = self._arriving = True

    def on_message_complete(self) -> None:
        """It is all there."""
        super().on_message_complete()
        self._arriving = False

    def on_headers_complete(self) -> None:
        """What follows is body, which handlers bound."""
        super().on_headers_complete()
        self._head, self._in_head = 0, False
        extensions: Any = {WHOLE: partial(_write, self.cycle)}
        self.scope["extensions"] = extensions

    def data_received(self, data: bytes) -> None:
        """Count until the headers are complete. Too much: 400, and the connection ends."""
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                return self.send_400_response("Request header too large.")
        return super().data_received(data)

    def _look(self) -> None:
        """Close if the same request is still arriving as when this looked last: nobody types that slowly."""
        late, self._late = self._late, (self.scope,) if self._arriving else ()
        if self._late and late and late[0] is self.scope:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(RECEIVE_S, self._look)


def _write(cycle: RequestResponseCycle, status: int, headers: Sequence[Header], body: bytes) -> bool:
    """Write a complete answer, as `cycle.send` would in two messages.

    Not taken: while the client reads too slowly, where the connection ends with this answer, without a length.
    Raises: ValueError for a header that would begin another line.
    """
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started or not cycle.keep_alive:
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
    cycle.scope["extensions"].clear()  # it holds `cycle`, which holds it: nothing is left to the garbage collector
    return True
