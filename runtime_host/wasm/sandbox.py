"""One component instance per request: limits, deadline, and a queue in front.

    pool = SandboxPool(load_component(directory, trust))
    value = pool.call("home-hero", signals, candidates, 7)          # in this thread
    value = await pool.acall("home-hero", signals, candidates, 7)   # in the pool's worker thread

An instance serves one request and is dropped. It is made ahead, in the thread that serves, after the previous reply,
and makes one call on public data (`exports`) before its request comes; a request that finds none ready makes its own
in the same way, so that each request is always the second call of an instance that no other request has used.

A request that comes while another runs waits, at most `Limits.wait_s`; then it is refused as `sandbox-busy`. What a
guest does wrong ends its instance and nothing else: `failures` says which code each misdeed gets.
"""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component, ComponentInstanceType, ExportIndex, Func, FuncType, Linker

from consent_core.decision.contract import RECORDS
from consent_core.errors import Unavailable, Untrusted
from runtime_host.wasm import _ffi
from runtime_host.wasm.converters import Converter, ResultLimits
from runtime_host.wasm.engine import shared_engine, shared_ticker
from runtime_host.wasm.exports import EXPORTS, Export
from runtime_host.wasm.failures import failed_call, failed_start
from runtime_host.wasm.shapes import shape

MIB = 1024 * 1024
IDLE_S = 0.005  # without a request before the instance made ahead is touched: a busy pool never pays for it


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox, and the queue before it, may use.

    Memory is counted per linear memory (wasmtime's limiter), so the number of memories is limited too: a Python guest
    has one, its composed verifier another. The other counts leave a componentize-py guest ample room.
    """

    memory_bytes: int = 64 * MIB
    deadline_s: float = 0.25
    memories: int = 4
    instances: int = 64
    tables: int = 16
    table_elements: int = 100_000
    queue: int = 256
    wait_s: float = 1.0
    result: ResultLimits = field(default_factory=ResultLimits)


class Loaded(Protocol):
    """A component ready to run: what `loading.load_component` returns."""

    @property
    def name(self) -> str:
        """The function's name."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the component (`sha256:<hex>`)."""
        ...

    @property
    def component(self) -> Component:
        """The compiled component, of `engine.shared_engine`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory limit its author asked for, in bytes."""
        ...

    @property
    def deadline_s(self) -> float:
        """Deadline its author asked for, in seconds."""
        ...


class _Sandbox:
    """A live instance of one component in a store of its own."""

    __slots__ = ("_context", "_function", "_store", "touched")

    def __init__(self, store: Store, function: Func) -> None:
        self._store = store
        self._function = function
        self._context = _ffi.context_address(store)
        self.touched = False

    def run(self, converter: Converter, arguments: tuple[Any, ...], slot: _ffi.ResultSlot, ticks: int) -> Any:
        """One call under a deadline. Raises: Unavailable; ValueError when the arguments do not fit."""
        packed = converter.pack(arguments)
        self._store.set_epoch_deadline(ticks)
        result = slot.address if converter.has_result else 0
        address = _ffi.function_address(self._function)
        message = _ffi.call(address, self._context, packed, converter.count, result)
        if message is not None:
            raise failed_call(message)
        return converter.read(slot)

    def close(self) -> None:
        """Free the instance and all its memory."""
        self._store.close()


class SandboxPool:
    """Runs one function of one component, each request in an instance of its own.

    `_turn` is held by a thread that makes or runs an instance, for two deadlines at most; it owns `_ready`, `_used`,
    `_slot` and `_converter`. The event loop's thread owns `_waiting` and `_idle`. The worker thread exists once `acall`
    was used.
    """

    def __init__(self, loaded: Loaded, limits: Limits | None = None, *, export: Export | None = None) -> None:
        self.name = loaded.name
        self.digest = loaded.digest
        self.limits = limits or Limits(memory_bytes=loaded.memory_bytes, deadline_s=loaded.deadline_s)
        self._engine = shared_engine()
        self._ticker = shared_ticker()
        self._component = loaded.component
        self._linker = Linker(self._engine)  # empty: a sandbox imports nothing
        _check_no_imports(self._component, self._engine)
        self.export = export or _export_of(self._component, self._engine)
        self._index = _function_index(self._component, self.export)
        function = _function_type(self._component, self._engine, self.export)
        self._converter = Converter(function, RECORDS, self.limits.result)
        self._slot = _ffi.ResultSlot()
        self._ticks = self._ticker.ticks(self.limits.deadline_s)
        self._turn = Lock()
        self._ready: _Sandbox | None = None
        self._used: _Sandbox | None = None
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._closed = False

    def call(self, *arguments: Any) -> Any:
        """Serve one request in this thread and return the function's value (`Ok` or `Err` for a result).

        Raises: Unavailable("sandbox-…"); ValueError or TypeError when an argument does not fit its WIT type.
        """
        self._take_turn(self.limits.wait_s)
        try:
            return self._serve(arguments)
        finally:
            self._drop_used()
            self._turn.release()

    def prepare(self) -> None:
        """Free the last request's instance and make the next one's, unless it is there. Raises: Unavailable."""
        self._take_turn(self.limits.wait_s)
        try:
            self._drop_used()
            if self._ready is None:
                self._ready = self._instantiate()
        finally:
            self._turn.release()

    def touch(self) -> None:
        """Call the instance made ahead with a public request, once: its pages are there when a request comes.

        Raises: Unavailable, and the instance is gone.
        """
        self._take_turn(self.limits.wait_s)
        try:
            if self._ready is not None and not self._ready.touched:
                self._used, self._ready = self._ready, None
                self._run(self._used, self.export.public[0])
                self._used.touched = True
                self._used, self._ready = None, self._used
        finally:
            self._turn.release()

    async def acall(self, *arguments: Any) -> Any:
        """Serve one request in the pool's worker thread; the event loop goes on meanwhile.

        A cancelled caller gives up its place; what already runs is finished and dropped.
        Raises: as `call`, and Unavailable("sandbox-busy") when the queue is full or the wait too long.
        """
        if self._waiting >= self.limits.queue:
            raise Unavailable("sandbox-busy", f"{self._waiting} requests wait for {self.name}")
        future = self._submit(arguments)
        self._waiting += 1
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._waiting -= 1
            self._touch_when_idle()

    def close(self) -> None:
        """Refuse new requests, finish the running one, free everything."""
        self._closed = True
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)
        with self._turn:
            self._drop_used()
            self._used, self._ready = self._ready, None
            self._drop_used()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, arguments: tuple[Any, ...]) -> "Future[Any]":
        """Queue the request and, right behind it, the making of the next instance."""
        if self._closed:
            raise Unavailable("sandbox-busy", f"{self.name} is shutting down")
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"wasm-{self.name}")
        future = self._worker.submit(self._serve_queued, arguments, time.monotonic() + self.limits.wait_s)
        self._worker.submit(self._prepare_quietly)
        return future

    def _serve_queued(self, arguments: tuple[Any, ...], latest: float) -> Any:
        self._take_turn(latest - time.monotonic())
        try:
            return self._serve(arguments)
        finally:
            self._turn.release()

    def _prepare_quietly(self) -> None:
        """A failure to prepare shows at the next request, which tries again and gets the reason."""
        try:
            self.prepare()
        except Unavailable:
            return

    def _touch_when_idle(self) -> None:
        """Each reply puts it off."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._touch_soon)

    def _touch_soon(self) -> None:
        if self._worker is not None and not self._waiting and not self._closed:
            self._worker.submit(self._touch_quietly)

    def _touch_quietly(self) -> None:
        """What fails on a public request is made again on the spot, and fails where somebody hears of it."""
        try:
            self.touch()
        except Unavailable:
            return

    def _take_turn(self, wait_s: float) -> None:
        if self._closed or wait_s <= 0 or not self._turn.acquire(timeout=wait_s):
            raise Unavailable("sandbox-busy", f"waited {self.limits.wait_s} s for {self.name}")

    def _serve(self, arguments: tuple[Any, ...]) -> Any:
        """One request in an instance that is never used again; the next caller frees it."""
        self._drop_used()
        self._used, self._ready = self._ready or self._instantiate(), None
        return self._run(self._used, arguments)

    def _run(self, sandbox: _Sandbox, arguments: tuple[Any, ...]) -> Any:
        self._ticker.started()
        try:
            return sandbox.run(self._converter, arguments, self._slot, self._ticks)
        finally:
            self._ticker.finished()

    def _instantiate(self) -> _Sandbox:
        limits = self.limits
        store = Store(self._engine)
        store.set_limits(limits.memory_bytes, limits.table_elements, limits.instances, limits.tables, limits.memories)
        store.set_epoch_deadline(self._ticks)
        self._ticker.started()
        try:
            instance = self._linker.instantiate(store, self._component)
            function = instance.get_func(store, self._index)
        except WasmtimeError as error:
            store.close()
            raise failed_start(str(error)) from None
        finally:
            self._ticker.finished()
        if function is None:
            raise RuntimeError("an export found at start is gone")
        return _Sandbox(store, function)

    def _drop_used(self) -> None:
        if self._used is not None:
            self._used.close()
            self._used = None


def _export_of(component: Component, engine: Engine) -> Export:
    """The one known function this component exports. Raises: Untrusted("component-exports")."""
    names = component.type.exports(engine).keys()
    for export in EXPORTS:
        if export.interface in names:
            return export
    raise Untrusted("component-exports", f"expected one of {', '.join(export.interface for export in EXPORTS)}")


def _function_index(component: Component, export: Export) -> ExportIndex:
    interface = component.get_export_index(export.interface)
    index = None if interface is None else component.get_export_index(export.function, interface)
    if index is None:
        raise Untrusted("component-exports", f"expected {export.interface} with {export.function}")
    return index


def _function_type(component: Component, engine: Engine, export: Export) -> FuncType:
    interface = component.type.exports(engine)[export.interface].ty
    if not isinstance(interface, ComponentInstanceType):
        raise Untrusted("component-exports", f"{export.interface} is not an interface")
    function = interface.exports(engine)[export.function].ty
    if not isinstance(function, FuncType):
        raise Untrusted("component-exports", f"{export.function} is not a function")
    if shape(function) != export.shape:
        raise Untrusted("component-exports", f"{export.function} is {shape(function)}, this host calls {export.shape}")
    return function


def _check_no_imports(component: Component, engine: Engine) -> None:
    """A host function would be the one way out of a sandbox, so there is none."""
    names = component.type.imports(engine).keys()
    if names:
        raise Untrusted("component-imports", f"a sandbox gives no imports, this asks for {', '.join(names)}")
