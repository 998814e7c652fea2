"""One engine configuration for builder and host, and the ticker behind deadlines.

A `.cwasm` file loads only in an engine configured as the one that compiled it, so both sides call `engine_config`.
Code is compiled for the architecture's baseline: nothing more that the builder's own CPU can do goes into the file.
"""

import contextlib
import platform
import threading
import time
from functools import cache
from importlib.metadata import version

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

from consent_core.errors import Unavailable

TICK_S = 0.01  # one epoch; the same as Spin's, fine enough for deadlines of tens of milliseconds
GRACE_S = 0.5  # keep ticking this long after the last call: busy hosts never park, idle ones do
MAX_STACK_BYTES = 512 * 1024  # wasmtime's own default, far below a thread's stack (8 MiB, at least 2 MiB)


def target_triple() -> str:
    """The target a component is compiled for, e.g. `x86_64-unknown-linux-gnu`. Naming it turns CPU detection off."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if machine not in {"x86_64", "aarch64"}:
        raise RuntimeError(f"components run on x86_64 and aarch64, this machine is {machine}")
    return f"{machine}-unknown-linux-gnu"


def engine_config(target: str | None = None) -> Config:
    """A new configuration; wasmtime consumes it when an engine is made. `target`: a triple, default this machine's."""
    config = Config()
    config.target = target or target_triple()
    config.epoch_interruption = True
    config.wasm_wide_arithmetic = True  # the verifier's 128-bit products
    config.max_wasm_stack = MAX_STACK_BYTES
    return config


@cache
def shared_engine() -> Engine:
    """The one engine of this process. Components compiled with `engine_config` load in it."""
    return Engine(engine_config())


def engine_fingerprint() -> str:
    """What a cached `.cwasm` depends on besides the component itself: part of the builder's cache key."""
    return f"wasmtime {version('wasmtime')}; {target_triple()}; epoch interruption; wide arithmetic"


def compile_component(wasm: bytes) -> bytes:
    """Native code (`.cwasm`) for a component. Takes seconds and 300 MB: for the builder, never for a POP.

    Raises: ValueError when `wasm` is not a component.
    """
    try:
        with Component(Engine(engine_config()), wasm) as component:
            return bytes(component.serialize())
    except WasmtimeError as error:
        raise ValueError(f"not a component: {error}") from error


class Meter:
    """How many ticks have passed: time in which this process had a processor, and a quarter of the rest.

    A guest cannot wait for anything, so while one runs on a machine with enough processors this is wall time. On an
    overloaded one, a process that was not scheduled did not use up its guests' deadlines; the quarter bounds by how
    much they grow. A pause of the whole machine counts as one look at the clock.
    """

    STARVED = 0.25

    def __init__(self, tick_s: float, wall: float, cpu: float) -> None:
        self.tick_s = tick_s
        self.wall = wall
        self._cpu = cpu
        self._credit = 0.0

    def ticks(self, wall: float, cpu: float) -> int:
        """Whole ticks since the last look, at these readings of the wall and the process's own clock (seconds)."""
        used = min(wall - self.wall, cpu - self._cpu)
        self._credit += max(used, min(wall - self.wall, self.tick_s) * self.STARVED)
        self.wall, self._cpu = wall, cpu
        ticks = int(self._credit / self.tick_s)
        self._credit -= ticks * self.tick_s
        return ticks


class Ticker:
    """Moves an engine's epoch on while calls are in flight, as `Meter` counts, so that a deadline can stop a guest.

    Call `started` before a guest runs and `finished` after it. The thread parks when nothing has run for `GRACE_S`.
    Every field is written under the interpreter lock alone; `_running` counts calls, `_parked` belongs to the thread.
    """

    def __init__(self, engine: Engine, tick_s: float = TICK_S, grace_s: float = GRACE_S) -> None:
        self.tick_s = tick_s
        self._grace_s = grace_s
        self._engine = engine
        self._lock = threading.Lock()
        self._running = 0
        self._parked = True
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused: str | None = None

    def ticks(self, seconds: float) -> int:
        """Epochs after which at least `seconds` have passed: the first tick may come at once."""
        return int(seconds / self.tick_s) + 2

    @property
    def resting(self) -> bool:
        """Whether the thread waits for the next call."""
        return self._parked

    def faults(self) -> dict[str, str]:
        """`ticker-dead` where the thread has ended under a guest, or none could be made. Starts it again."""
        with self._lock:
            if self._refused is None and (self._alive() or not self._running):
                return {}
            found = self._refused or "it ended while a function ran"
            with contextlib.suppress(Unavailable):
                self._resume()
        return {"ticker-dead": found}

    def started(self) -> None:
        """A guest is about to run. Raises: Unavailable("sandbox-start") where nothing would tick its deadline."""
        with self._lock:
            if self._parked or not self._alive():
                self._resume()
                self._parked = False
            self._running += 1

    def finished(self) -> None:
        """The guest has returned, trapped or been stopped."""
        with self._lock:
            self._running -= 1

    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _resume(self) -> None:
        """Wake the thread; make it where there is none, or where it has ended: without it no guest would stop."""
        self._wake.set()
        if self._alive():
            return
        thread = threading.Thread(target=self._run, name="wasm-epoch", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads to be had
            self._refused = str(error)
            raise Unavailable("sandbox-start", "nothing would end a guest that runs too long") from error
        self._thread, self._refused = thread, None

    def _run(self) -> None:
        while True:
            self._tick_until_quiet()
            self._rest()

    def _tick_until_quiet(self) -> None:
        """What passed while resting is not counted: the meter is new."""
        meter = Meter(self.tick_s, time.monotonic(), time.process_time())
        quiet_since = meter.wall
        while self._running or meter.wall - quiet_since <= self._grace_s:
            time.sleep(self.tick_s)
            for _ in range(meter.ticks(time.monotonic(), time.process_time())):
                self._engine.increment_epoch()
            if self._running:
                quiet_since = meter.wall

    def _rest(self) -> None:
        with self._lock:
            if self._running:
                return
            self._wake.clear()
            self._parked = True
        self._wake.wait()


@cache
def shared_ticker() -> Ticker:
    """The one ticker of this process, for `shared_engine`."""
    return Ticker(shared_engine())
