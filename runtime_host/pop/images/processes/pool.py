"""A POP's render processes: how many, whose turn it is, and what follows when one of them is lost.

A process starts when a miss finds none free, and ends when it has been idle for a minute. One that crashes, hangs or
grows too large is ended, the request hears why, and the next request gets another process. Its picture rests for a
minute: visitors who come back must not keep all processes busy with dying of it.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.formats.rendition import Recipe
from runtime_host.pop.images.pixels import render_source
from runtime_host.pop.images.processes.process import RenderProcess, Work
from runtime_host.pop.images.sources import Facts, Source, facts_as_json, facts_of_json

LOG = logging.getLogger("consent_edge.pop")

DEAD_AFTER = 3  # starts that fail in a row; from then on one is tried at a time, at its own pace
MAX_RESTING = 1_024  # pictures; the longest at rest gives way


@dataclass(frozen=True, slots=True)
class Limits:
    """What a render process may take."""

    deadline_s: float = 30.0  # for one render; the largest takes 3 s on an idle core
    memory_bytes: int = 512 * 2**20  # beyond the program's own; the largest picture that is taken needs 360 MB
    start_s: float = 60.0  # from start to its first word, on a machine that is busy
    idle_s: float = 60.0  # before an unused process ends
    rest_s: float = 60.0  # for the picture at which a process was lost
    retry_s: float = 5.0  # between two starts while none succeeds


class RenderProcesses:
    """At most `size` processes. Used from one event loop."""

    def __init__(self, size: int = 2, limits: Limits | None = None) -> None:
        self.lost = 0  # processes that crashed or were ended at a render
        self._limits = limits or Limits()
        self._turn = asyncio.Semaphore(size)
        self._running: set[RenderProcess] = set()
        self._free: dict[RenderProcess, asyncio.TimerHandle] = {}  # most recently used last
        self._resting: OrderedDict[str, float] = OrderedDict()  # source to end of rest, in loop time
        self._failed_starts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> Collection[int]:
        """See `RenderPool`."""
        return [process.pid for process in self._running if process.alive]

    @property
    def dead(self) -> bool:
        """Whether no process can be started."""
        return self._failed_starts >= DEAD_AFTER

    async def render(self, source: Source, recipe: Recipe) -> bytes:
        """See `RenderPool`."""
        return await self._run(source.digest, render_source, source, recipe)

    async def check(self, path: Path, folder: Path) -> Facts:
        """See `RenderPool`. `path`: named after its digest, as the gallery's copies are."""
        return facts_of_json(await self._run(path.name, facts_as_json, path, folder))

    async def close(self) -> None:
        """End all processes, those too that work."""
        for task in (*self._tasks,):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for process in (*self._running,):
            await self._end(process)

    async def _run(self, picture: str, work: Work, *arguments: object) -> bytes:
        async with self._turn:
            self._refuse_resting(picture)
            if (process := self._take()) is not None:
                with contextlib.suppress(EOFError, ConnectionError):  # it died between renders: no picture is to blame
                    return await self._with(process, picture, work, *arguments)
            try:
                return await self._with(await self._start(), picture, work, *arguments)
            except (EOFError, ConnectionError) as error:
                raise self._lose(picture, Unavailable("render-failed", "its render process ended")) from error

    async def _with(self, process: RenderProcess, picture: str, work: Work, *arguments: object) -> bytes:
        """Ask one process, and keep it for the next render unless it was lost at this one."""
        kept = False
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                body = await process.ask(work, *arguments)
            kept = True
            return body
        except TimeoutError as error:
            failure = Unavailable("render-timeout", f"took longer than {self._limits.deadline_s:g} s")
            raise self._lose(picture, failure) from error
        except ConsentEdgeError:
            kept = True
            raise
        finally:
            await (self._put_back(process) if kept else self._end(process))

    def _lose(self, picture: str, failure: Unavailable) -> Unavailable:
        self.lost += 1
        self._resting[picture] = asyncio.get_running_loop().time() + self._limits.rest_s
        while len(self._resting) > MAX_RESTING:
            self._resting.popitem(last=False)
        LOG.warning("picture %s: %s; it rests for %g s", picture, failure.message, self._limits.rest_s)
        return failure

    def _refuse_resting(self, picture: str) -> None:
        until = self._resting.get(picture)
        if until is None:
            return
        if until > asyncio.get_running_loop().time():
            raise Unavailable("render-failed", "a render process was lost at it a moment ago")
        del self._resting[picture]

    # Processes.

    def _take(self) -> RenderProcess | None:
        """A free process, the one that was used last."""
        while self._free:
            process, retiring = self._free.popitem()
            retiring.cancel()
            if process.alive:
                return process
            self._do(self._end(process))
        return None

    async def _put_back(self, process: RenderProcess) -> None:
        loop = asyncio.get_running_loop()
        self._free[process] = loop.call_later(self._limits.idle_s, self._retire, process)

    def _retire(self, process: RenderProcess) -> None:
        del self._free[process]
        self._do(self._end(process))

    async def _end(self, process: RenderProcess) -> None:
        retiring = self._free.pop(process, None)
        if retiring is not None:
            retiring.cancel()
        self._running.discard(process)
        await process.end()

    async def _start(self) -> RenderProcess:
        """Raises: Unavailable("render-pool")."""
        if self.dead:
            raise Unavailable("render-pool", "no render process can be started")
        try:
            return await self._try_start()
        except (OSError, EOFError, TimeoutError) as error:
            self._failed_starts += 1
            if self._failed_starts == DEAD_AFTER:
                LOG.warning("no render process can be started: %s", error)
                self._do(self._revive())
            raise Unavailable("render-pool", "a render process cannot be started") from error

    async def _try_start(self) -> RenderProcess:
        process = await RenderProcess.start(self._limits.memory_bytes)
        self._running.add(process)
        try:
            async with asyncio.timeout(self._limits.start_s):
                await process.ready()
        except BaseException:
            await self._end(process)
            raise
        self._failed_starts = 0
        return process

    async def _revive(self) -> None:
        """Try until a process starts; no request waits for it, so that a POP without renderers answers at once."""
        while self.dead:
            await asyncio.sleep(self._limits.retry_s)
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await self._put_back(await self._try_start())
        LOG.warning("render processes start again")

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
