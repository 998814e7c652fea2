"""Several uvicorn servers in one process: bound sockets first, signals left to the process, one way to wait."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process stops all of its servers together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


@contextlib.contextmanager
def listening(host: str, port: int, backlog: int = 1024) -> Iterator[socket.socket]:
    """A bound port, before anything is made that would have to be taken back. Raises: OSError for a taken one."""
    with socket.create_server((host, port), backlog=backlog) as sock:
        yield sock


async def started(servers: Sequence[uvicorn.Server], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Return once every server takes connections. Raises: what ended a server before it began."""
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
                raise RuntimeError("a listener ended before it began")
        await asyncio.sleep(0.002)
