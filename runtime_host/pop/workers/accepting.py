"""Takes connections from the socket that all workers listen on, so that none has many more than another.

All are woken by a new connection, and the quickest would take a whole burst of them; kept alive, they stay
there. So each says on the shared state how many it has, and who has more than the least steps aside for a moment first.
No connection waits for long: the process that stepped aside takes what is still there.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from runtime_host.pop.stores.shared_state import SharedState

ASIDE_S = 0.002  # long enough for another process to wake up
AT_ONCE = 4  # taken after stepping aside: a process that hangs costs the others half a millisecond a connection
TELL_EVERY_S = 0.1
PAUSE_S = 0.1  # when there are no descriptors left


class Accepting:
    """One process's share of a listening socket, with what `uvicorn` asks of a server. `count`: its connections now.

    `_begun`: connections being handed to their protocol. `_aside`: whether the next look may not be put off again.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        count: Callable[[], int],
        shared_state: SharedState,
    ) -> None:
        self.sockets = (listening,)
        self._listening = listening
        self._protocol = protocol
        self._count = count
        self._shared_state = shared_state
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[None]] = set()
        self._aside = False
        self._closed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tell()
        self._listen()

    def close(self) -> None:
        """Take no more."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listening)
            for timer in self._timers.values():
                timer.cancel()
            self._shared_state.leave(self._shared_state.place)

    async def wait_closed(self) -> None:
        """Until what was taken has been handed on."""
        if self._begun:
            await asyncio.wait(self._begun)

    @property
    def _mine(self) -> int:
        return self._count() + len(self._begun)

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening, self._readable)

    def _readable(self) -> None:
        mine, fewest = self._mine, self._shared_state.fewest_connections()
        if mine > fewest and not self._aside:
            self._aside = True
            self._pause(ASIDE_S)
            return
        times, self._aside = (AT_ONCE if self._aside else 1), False
        for _ in range(times):
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError:
                self._pause(PAUSE_S)
                break
            connection.setblocking(False)
            task = self._loop.create_task(self._hand_on(connection))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
        self._shared_state.have_connections(self._mine)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._timers["pause"] = self._loop.call_later(seconds, self._listen)

    async def _hand_on(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # gone already
            await self._loop.connect_accepted_socket(self._protocol, connection)

    def _tell(self) -> None:
        self._shared_state.have_connections(self._mine)
        self._timers["tell"] = self._loop.call_later(TELL_EVERY_S, self._tell)
