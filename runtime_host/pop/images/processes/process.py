"""One render process as the POP sees it."""

import asyncio
import contextlib
import os
import pickle
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from consent_core.errors import Rejected, Unavailable
from runtime_host.pop.images.processes.frames import DONE, FAILED, JOB, READY, pack, read

Work = Callable[..., bytes]  # a function of this program, found there by its name

FONTS = Path(__file__).parents[1] / "fonts" / "fonts.conf"
MODULE = "runtime_host.pop.images.processes.child"
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "HOME", "TMPDIR")  # of the environment: no token goes along
_READ_AHEAD = 2**20  # bytes; most renditions arrive in one go
_KINDS: dict[str, type[Rejected | Unavailable]] = {
    "asset-refused": Rejected,
    "asset-unavailable": Unavailable,
    "render-failed": Unavailable,
}


class RenderProcess:
    """Asked one thing at a time. Its starter ends it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, memory_bytes: int) -> "RenderProcess":
        """A process that has not said yet that it is ready. Raises: OSError."""
        ours, its = socket.socketpair()
        with its:
            command = (sys.executable, "-P", "-m", MODULE, str(its.fileno()), str(memory_bytes))
            process = await asyncio.create_subprocess_exec(
                *command, pass_fds=(its.fileno(),), stdin=asyncio.subprocess.DEVNULL, env=_environment()
            )
        return cls(process, *await asyncio.open_unix_connection(sock=ours, limit=_READ_AHEAD))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def ready(self) -> None:
        """Wait for its first word. Raises: EOFError where it ended instead."""
        kind, _ = await read(self._reader)
        if kind != READY:
            raise EOFError("not the word of a render process")

    async def ask(self, work: Work, *arguments: object) -> bytes:
        """What `work` gives there. Raises: what it refuses with; EOFError, ConnectionError if the process is gone."""
        self._writer.write(pack(JOB, pickle.dumps((work, arguments))))
        kind, payload = await read(self._reader)
        if kind == DONE:
            return payload
        if kind == FAILED:
            raise _failure(payload)
        raise EOFError("not the answer of a render process")

    async def end(self) -> None:
        """End it now and wait until it has ended. A frozen process ends too."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()
        await self._process.wait()


def _failure(payload: bytes) -> Rejected | Unavailable:
    code, _, message = payload.decode("utf-8", "replace").partition("\n")
    code = code if code in _KINDS else "render-failed"
    return _KINDS[code](code, message[:500])


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "MALLOC_ARENA_MAX": "2", "FONTCONFIG_FILE": str(FONTS)}
