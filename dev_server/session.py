"""What happens at a save, in order: load, lint, tell the page, build in the background, compare, tell again.

    session = await open_session(root, "hello", data, tell=print_line)
    async with asyncio.TaskGroup() as tasks: tasks.create_task(session.watch())

Every step ends in `tell(event)`: the lines of `edge dev --json`, and the events of the page.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from watchfiles import awatch

from builder.source import function_names
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.trust.keys import KeyStore
from dev_server.building import BackgroundBuild, Built
from dev_server.comparison import (
    Difference,
    Request,
    compare,
    page_signals,
    probes,
    request_of,
)
from dev_server.workbench import Fault, Tried, Workbench
from fleet.project import CATALOGUE
from runtime_host.pop.images import LoadedCatalogue, Renderer, load_catalogue
from runtime_host.wasm.debug import invoke

STEP_MS = 10  # how long the watcher waits for a second change of the same save
DEBOUNCE_MS = 100
QUIET_S = 0.5  # without a save before a build begins
REMEMBERED = 64  # of the requests tried, compared again after each build
OLD_S = 5.0  # a file time further back than this says nothing about when it was saved

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class View:
    """What the page shows besides decisions. `build`: waiting, building, ready or failed."""

    function: str
    digest: str = ""
    reload_ms: float = 0.0
    fault: Fault | None = None
    lint: list[str] = field(default_factory=list)
    build: str = "waiting"
    build_message: str = ""
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return asdict(self)


class DevSession:
    """One function under development. Owned by the event loop."""

    def __init__(self, root: Path, bench: Workbench, builder: BackgroundBuild, tell: Tell) -> None:
        self.root, self.bench, self.view = root, bench, View(bench.name)
        self.catalogue = load_catalogue(root / CATALOGUE, root / "art")
        self.renderer = Renderer(self.catalogue)
        self._builder, self._tell = builder, tell
        self._built: Built | None = None
        self._tried: dict[str, Request] = {}
        self._build_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The first load, and the first build's beginning."""
        await self._reload(time.time())

    async def close(self) -> None:
        """End the build that runs, and the renderer."""
        if self._build_task is not None:
            self._build_task.cancel()
            await asyncio.gather(self._build_task, return_exceptions=True)
        if self._built is not None:
            self._built.pool.close()
        await self.renderer.close()

    async def watch(self) -> None:
        """React to saves, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_function())
            tasks.create_task(self._watch_catalogue())

    async def ask(self, slot: str, signals: Mapping[str, Any], entropy: int) -> tuple[Tried, Any]:
        """The native answer, and the component's outcome where the component is of the same sources."""
        request = request_of(self.catalogue.catalogue, slot, signals, entropy)
        answer = await self.bench.ask(request)
        self._remember(request)
        component = await self._ask_component(request)
        if component is not None and component["outcome"] != answer.outcome():
            self._differ([Difference(request, answer.outcome(), component["outcome"])])
        return answer, component

    async def _watch_function(self) -> None:
        async for changes in awatch(self.bench.directory, step=STEP_MS, debounce=DEBOUNCE_MS):
            paths = [Path(path) for _, path in changes if path.endswith((".py", ".toml"))]
            if paths:
                await self._reload(_saved_at(paths))

    async def _watch_catalogue(self) -> None:
        async for changes in awatch(self.root, recursive=False, step=STEP_MS, debounce=DEBOUNCE_MS):
            if any(Path(path).name == CATALOGUE for _, path in changes):
                self._reload_catalogue()

    async def _reload(self, saved_at: float) -> None:
        self.view.fault = self.bench.reload() or await self._try_once()
        self.view.digest = self.bench.runner.digest if self.bench.runner else ""
        self.view.reload_ms = round((time.time() - saved_at) * 1000, 1)
        self.view.differences, self.view.compared = [], 0
        self.view.build, self.view.build_message = "waiting", ""
        self._report("fault" if self.view.fault else "reload")
        self._lint()
        self._build_anew()

    async def _try_once(self) -> Fault | None:
        """A reload counts as done when the new code has answered the request tried last."""
        try:
            await self.bench.ask([self._first_request(), *self._tried.values()][-1])
        except Unavailable as error:
            return Fault(error.code, error.message)
        return None

    def _first_request(self) -> Request:
        slot = next(iter(self.catalogue.catalogue.slots))
        return request_of(self.catalogue.catalogue, slot, page_signals(()), 0)

    def _lint(self) -> None:
        try:
            self.view.lint = [] if self.view.fault else self.bench.lint()
        except ConsentEdgeError as error:
            self.view.lint = [error.message]
        if self.view.lint:
            self._report("lint")

    def _reload_catalogue(self) -> None:
        try:
            loaded: LoadedCatalogue = load_catalogue(self.root / CATALOGUE, self.root / "art")
        except Rejected as error:
            self.view.fault = Fault(error.code, error.message)
            self._report("fault")
            return
        self.catalogue = loaded
        self.renderer.adopt(loaded)
        self._tried.clear()
        self.view.fault = None
        self._report("catalogue")

    def _build_anew(self) -> None:
        if self._build_task is not None:
            self._build_task.cancel()
        self._build_task = asyncio.create_task(self._build_and_compare())

    async def _build_and_compare(self) -> None:
        if self.view.fault is not None or self.view.lint:
            self.view.build, self.view.build_message = "failed", "not built: the sources are not in order"
            return
        await asyncio.sleep(QUIET_S)
        self.view.build = "building"
        self._report("building")
        try:
            self._replace(await self._builder.build())
        except ConsentEdgeError as error:
            self.view.build, self.view.build_message = "failed", f"{error.code}: {error.message}"
            self._report("build-failed")
            return
        await self._compare()

    def _replace(self, built: Built) -> None:
        old, self._built = self._built, built
        if old is not None:
            old.pool.close()
        origin = "from the cache" if built.cached else f"in {built.seconds:.1f} s"
        self.view.build, self.view.build_message = "ready", f"built {origin}"
        self._report("built")

    async def _compare(self) -> None:
        """All probes, and what was tried in the page, against both."""
        runner, built = self.bench.runner, self._built
        if runner is None or built is None:
            return
        requests = [*probes(self.catalogue.catalogue), *self._tried.values()]
        differences = await asyncio.to_thread(compare, runner, built.pool, requests)
        self.view.compared = len(requests)
        self._differ(differences)
        self._report("compared")

    async def _ask_component(self, request: Request) -> dict[str, Any] | None:
        if self._built is None or self.view.build != "ready":
            return None
        invocation = await asyncio.to_thread(invoke, self._built.pool, request)
        return {"outcome": invocation.code or invocation.value, **invocation.to_json()}

    def _remember(self, request: Request) -> None:
        key = json.dumps(request, sort_keys=True)
        self._tried.pop(key, None)
        self._tried[key] = request
        while len(self._tried) > REMEMBERED:
            del self._tried[next(iter(self._tried))]

    def _differ(self, differences: Iterable[Difference]) -> None:
        known = self.view.differences
        for difference in differences:
            if difference.request not in [other.request for other in known]:
                known.append(difference)
                self._tell({"event": "difference", **difference.to_json()})

    def _report(self, event: str) -> None:
        self._tell({"event": event, **self.view.to_json()})


def open_session(root: Path, name: str | None, data: Path, tell: Tell) -> DevSession:
    """A session over a project folder. Without a name: its only function.

    Raises: Rejected("dev-function" | "catalogue-invalid" | "asset-refused").
    """
    names = function_names((root,))
    if name is None and len(names) != 1:
        raise Rejected("dev-function", f"name one of the functions here: {', '.join(names) or 'there is none'}")
    chosen = name or names[0]
    if chosen not in names:
        raise Rejected("dev-function", f"no functions/{chosen}/function.toml here", status=404)
    KeyStore.open(data, create=True)
    bench = Workbench((root / "functions" / chosen).resolve())
    return DevSession(root, bench, BackgroundBuild(chosen, root, data), tell)


def _saved_at(paths: Iterable[Path]) -> float:
    """When the newest of the files was written, by its own time; now, if that says nothing."""
    now, times = time.time(), []
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    newest = max(times, default=now)
    return newest if 0 <= now - newest < OLD_S else now
