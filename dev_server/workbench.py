"""One function in this process: loaded afresh at each save, asked one request at a time.

    bench = Workbench(Path("functions/hello"))
    bench.reload()                                        # Fault, or None; the last good version stays
    answer = await bench.ask({"slot": "home-hero", "signals": {...}, "candidates": [...], "entropy": 3})

A request is JSON as `edge invoke` reads it. An error of the function is an answer, with its traceback.
"""

import asyncio
import importlib
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.guest_lint import lint_guest
from builder.source import find_function
from consent_core.errors import ConsentEdgeError, Unavailable
from runtime_host.wasm.debug import Invocation, invoke
from runtime_host.wasm.functions import Runner
from runtime_host.wasm.native import NativeFunction

PATIENCE_S = 2.0  # a component has a quarter of a second by default; a loop in Python cannot be ended, only left behind


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the newest sources do not run. `detail`: a traceback, or a line per finding."""

    code: str
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one request, with the function's own traceback if it raised."""

    invocation: Invocation
    traceback: str = ""

    def outcome(self) -> Any:
        """What two ways to run the same request are compared by: the value, or the code of its refusal."""
        return self.invocation.code or self.invocation.value


class Workbench:
    """The function of one folder. `runner` is the last version that could be loaded, None before the first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = directory.name
        self.runner: NativeFunction | None = None

    def reload(self) -> Fault | None:
        """Load the sources as they are now. A fault leaves the last good version at work."""
        try:
            with _nothing_cached():
                self.runner = NativeFunction(self.directory)
            return None
        except ConsentEdgeError as error:
            return Fault(error.code, error.message)
        except (Exception, SystemExit) as error:  # anything that a module may raise while it loads
            return Fault("load-failed", f"{type(error).__name__}: {error}", _own_traceback(error, self.directory))

    def lint(self) -> list[str]:
        """What a sandbox does not have, by file and line."""
        function = find_function(self.name, (self.directory.parent.parent,))
        return [str(finding) for finding in lint_guest(function.files, _packages(function.dependencies))]

    async def ask(self, request: Mapping[str, Any]) -> Tried:
        """One request. Raises: Rejected("invoke-request"), Unavailable("dev-not-loaded" | "dev-patience")."""
        if self.runner is None:
            raise Unavailable("dev-not-loaded", f"no version of {self.name} could be loaded yet")
        return await in_thread(lambda: answer(self.runner, request, self.directory), self.name)


def answer(runner: Runner | None, request: Mapping[str, Any], directory: Path | None = None) -> Tried:
    """One request to the sandbox or interpreter that runs the function."""
    assert runner is not None
    if not isinstance(runner, NativeFunction):
        return Tried(invoke(runner, request))
    raised: list[str] = []
    original = runner.call

    def call(*arguments: Any) -> Any:
        try:
            return original(*arguments)
        except Unavailable as error:
            raised.append(_own_traceback(error.__cause__ or error, directory or Path()))
            raise

    watched = _Watched(runner, call)
    invocation = invoke(watched, request)
    return Tried(invocation, "".join(raised))


class _Watched:
    """A native function whose tracebacks are kept."""

    def __init__(self, runner: NativeFunction, call: Callable[..., Any]) -> None:
        self.name, self.digest, self.export, self.call = runner.name, runner.digest, runner.export, call

    async def acall(self, *arguments: Any) -> Any:
        """As `call`."""
        return self.call(*arguments)

    def prepare(self) -> None:
        """Nothing to make ahead."""

    def close(self) -> None:
        """Nothing to free."""


async def in_thread(work: Callable[[], Tried], name: str, patience_s: float = PATIENCE_S) -> Tried:
    """Do `work` in a thread of its own, for a limited time. Raises: Unavailable("dev-patience"), and as `work`."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Tried] = loop.create_future()

    def settle(value: Tried | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        elif value is not None:
            done.set_result(value)

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except Exception as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, daemon=True, name=f"ask-{name}").start()
    try:
        return await asyncio.wait_for(done, patience_s)
    except TimeoutError as error:
        raise Unavailable("dev-patience", f"{name} did not answer within {patience_s:g} s") from error


@contextmanager
def _nothing_cached() -> Iterator[None]:
    """Python keeps compiled modules by second and size: two quick saves would run the first one's code."""
    before = sys.dont_write_bytecode, sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = True, "/nonexistent"
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before


def _own_traceback(error: BaseException, directory: Path) -> str:
    """The frames in the function's own files, and the error."""
    told = traceback.TracebackException.from_exception(error, capture_locals=False)
    told.stack = traceback.StackSummary.from_list(
        [_shortened(frame, directory) for frame in told.stack if str(directory) in frame.filename] or told.stack[-1:]
    )
    told.__cause__ = told.__context__ = None
    return "".join(told.format())


def _shortened(frame: traceback.FrameSummary, directory: Path) -> traceback.FrameSummary:
    """A frame that names its file from the project's folder."""
    path = frame.filename.replace(f"{directory.parent.parent}/", "")
    return traceback.FrameSummary(path, frame.lineno, frame.name, line=frame.line)


def _packages(dependencies: tuple[str, ...]) -> list[str]:
    return [entry.partition("==")[0].replace("-", "_") for entry in dependencies]
