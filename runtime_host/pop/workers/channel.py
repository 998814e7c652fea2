"""Messages between a lead and one worker: JSON objects, a line each, over a socket pair made before the worker was.

Neither side waits for the other. That the other end is gone is a message too: `receive` returns None. Trust: both
ends are one program's processes, and no other process has the socket.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from runtime_host.pop.stores.shared_state import SharedState

MAX_MESSAGE = 32 * 2**20  # all metrics of a worker, with every label value there may be
MAX_WAITING = 64 * 2**20  # bytes that the other end has not read; it hangs, and what is told it meanwhile is lost

Message = Mapping[str, Any]
Hear = Callable[[Message], None]


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Talk over this end of a socket pair."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=MAX_MESSAGE))

    def send(self, message: Message) -> None:
        """Pass a message on. Nothing happens if the other end is gone or does not listen."""
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < MAX_WAITING:
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> Message | None:
        """The next message; None once the other end is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        message: Message | None = json.loads(line) if line.endswith(b"\n") else None
        return message

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Lead:
    """The lead as its worker sees it."""

    def __init__(self, shared_state: SharedState, channel: Channel) -> None:
        self.shared_state = shared_state
        self.send = channel.send
        self._channel = channel
        self._hear: Hear = lambda _: None

    def attend(self, hear: Hear) -> None:
        """Have this handler hear what the lead says."""
        self._hear = hear

    async def listen(self) -> None:
        """Hear the lead until it is gone."""
        while (message := await self._channel.receive()) is not None:
            self._hear(message)
