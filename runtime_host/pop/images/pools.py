"""Who renders: the seam between a renderer, which knows what is wanted, and the threads or processes that work.

A POP's processes use `processes.RenderProcesses`. Threads serve where one program is all there is: `edge dev`, the
simulator and tests of other rooms.
"""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from consent_core.formats.rendition import Recipe
from runtime_host.pop.images.pixels import render_source
from runtime_host.pop.images.sources import Facts, Source, facts_as_json, facts_of_json


class RenderPool(Protocol):
    """Makes renditions, a few at a time; a later caller waits for its turn."""

    @property
    def pids(self) -> Collection[int]:
        """The processes of its own that run now; their memory is the POP's."""
        ...

    @property
    def dead(self) -> bool:
        """Whether it can render no picture at the moment."""
        ...

    @property
    def lost(self) -> int:
        """Processes that crashed, hung or grew too large at a render."""
        ...

    async def render(self, source: Source, recipe: Recipe) -> bytes:
        """Encoded bytes. Raises: Unavailable: "render-failed", "render-timeout", "render-pool", "asset-unavailable"."""
        ...

    async def check(self, path: Path, folder: Path) -> Facts:
        """What is in a picture, decoded to its end. Raises: Rejected("asset-refused"); Unavailable, as `render`."""
        ...

    async def close(self) -> None:
        """End every process that it started."""
        ...


class RenderThreads:
    """Threads of this process."""

    pids: Collection[int] = ()
    dead = False
    lost = 0

    def __init__(self, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="render")

    async def render(self, source: Source, recipe: Recipe) -> bytes:
        """See `RenderPool`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, render_source, source, recipe)

    async def check(self, path: Path, folder: Path) -> Facts:
        """See `RenderPool`."""
        loop = asyncio.get_running_loop()
        return facts_of_json(await loop.run_in_executor(self._pool, facts_as_json, path, folder))

    async def close(self) -> None:
        """Let the threads end. Renders already begun are finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)
