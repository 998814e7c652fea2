"""Renditions on demand: one render per recipe however many wait for it, a few at a time, finished ones kept.

A waiter that gives up does not stop the render for the others. A failure reaches everybody who waited and is then
forgotten: the next request tries again.
"""

import asyncio
import hashlib

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.rendition import Overlay, Recipe
from runtime_host.pop.images.cache import Rendition, RenditionCache
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.pixels import CONTENT_TYPES
from runtime_host.pop.images.pools import RenderPool, RenderThreads
from runtime_host.pop.images.sources import Source

MAX_WAITING = 64  # renders begun or queued; beyond it a POP says so instead of collecting requests


class Renderer:
    """The transform pipeline of one POP. Used from one event loop; `pool` does the work."""

    def __init__(
        self,
        catalogue: LoadedCatalogue,
        cache: RenditionCache | None = None,
        pool: RenderPool | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.cache = cache if cache is not None else RenditionCache()
        self.renders = 0  # begun so far
        self._catalogue = self._before = catalogue
        self._max_waiting = max_waiting
        self.pool: RenderPool = pool or RenderThreads()
        self._running: dict[Recipe, asyncio.Task[Rendition]] = {}

    @property
    def waiting(self) -> int:
        """Renders begun or queued right now."""
        return len(self._running)

    def adopt(self, catalogue: LoadedCatalogue) -> None:
        """Render what this catalogue holds from now on, and what the one before it held: pages still ask for that."""
        self._catalogue, self._before = catalogue, self._catalogue

    def status(self) -> dict[str, int | bool]:
        """For `/readyz`."""
        return {"running": len(self.pool.pids), "lost": self.pool.lost, "dead": self.pool.dead}

    def faults(self) -> dict[str, str]:
        """`renderers-dead` where no process can be started that renders."""
        return {"renderers-dead": f"{self.pool.lost} were lost"} if self.pool.dead else {}

    def cached(self, recipe: Recipe) -> Rendition | None:
        """The finished rendition, without waiting for anything."""
        return self.cache.get(recipe)

    async def render(self, recipe: Recipe) -> Rendition:
        """The rendition of a recipe in a settled format.

        Raises: Rejected("rendition-recipe", 404) if the catalogue no longer has this source;
        Unavailable: "render-busy", or as `RenderPool.render`.
        """
        finished = self.cache.get(recipe)
        if finished is not None:
            return finished
        return await asyncio.shield(self._running.get(recipe) or self._begin(recipe))

    async def close(self) -> None:
        """End the pool, and refuse what still waits for it."""
        await self.pool.close()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _begin(self, recipe: Recipe) -> asyncio.Task[Rendition]:
        if recipe.format not in CONTENT_TYPES:
            raise ValueError("format: negotiate before rendering")
        source = self._source(recipe)
        if len(self._running) >= self._max_waiting:
            raise Unavailable("render-busy", f"{len(self._running)} renders are waiting")
        task = asyncio.get_running_loop().create_task(self._work(recipe, source))
        self._running[recipe] = task
        task.add_done_callback(lambda done: self._ended(recipe, done))
        return task

    async def _work(self, recipe: Recipe, source: Source) -> Rendition:
        self.renders += 1
        rendition = _rendition(recipe, await self.pool.render(source, recipe))
        self.cache.put(recipe, rendition)
        return rendition

    def _ended(self, recipe: Recipe, done: asyncio.Task[Rendition]) -> None:
        del self._running[recipe]
        if not done.cancelled():
            done.exception()  # seen, even if everybody who waited has left

    def _source(self, recipe: Recipe) -> Source:
        for catalogue in (self._catalogue, self._before):
            source = catalogue.sources.get(recipe.asset)
            if source is not None and source.name == recipe.source and _draws(catalogue, recipe.overlay):
                return source
        raise Rejected("rendition-recipe", "the catalogue no longer has this picture", status=404)


def _draws(catalogue: LoadedCatalogue, overlay: Overlay | None) -> bool:
    """Whether copy is drawn here with the fonts that the address names. Addresses of earlier versions name none."""
    if overlay is None or not overlay.fonts:
        return True
    known = catalogue.fonts.get(overlay.text, overlay.fonts)
    return known == overlay.fonts and overlay.fonts in catalogue.fonts.values()


def _rendition(recipe: Recipe, body: bytes) -> Rendition:
    return Rendition(body, CONTENT_TYPES[recipe.format], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
