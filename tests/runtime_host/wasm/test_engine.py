"""The engine is the same for builder and host, and its clock moves only while guests run."""

import re
import threading
import time

import pytest
from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from consent_core.errors import Unavailable
from runtime_host.wasm.engine import Meter, Ticker, compile_component, engine_config, engine_fingerprint, shared_engine
from tests.runtime_host.wasm import guests

# In the header of native code: a flag's name, its kind (2: Boolean), its value.
CPU_FLAG = re.compile(rb"(has_\w+)\x02([\x00\x01])")


def test_native_code_carries_no_cpu_feature_beyond_the_baseline() -> None:
    """Its header lists every CPU flag as off; where the compiler looks at its own CPU, some are on."""
    flags = dict(CPU_FLAG.findall(compile_component(guests.counting())))
    detected = dict(CPU_FLAG.findall(bytes(Component(Engine(), guests.counting()).serialize())))

    assert flags.keys() == detected.keys()
    assert {b"\x00"} == set(flags.values())
    assert b"\x01" in detected.values()


def test_code_compiled_without_epochs_does_not_load() -> None:
    """Such code could not be stopped."""
    plain = bytes(Component(Engine(), guests.counting()).serialize())

    with pytest.raises(WasmtimeError):
        Component.deserialize(shared_engine(), plain)


def test_what_the_builder_compiles_loads_here() -> None:
    """One configuration for both."""
    compiled = compile_component(guests.counting())

    assert Component.deserialize(shared_engine(), compiled).type.exports(shared_engine())
    assert "epoch" in engine_fingerprint()


def test_what_is_not_a_component_is_a_value_error() -> None:
    """A core module, or no module at all."""
    for wasm in (b"\0asm\x01\0\0\0", b"nonsense\xff"):
        with pytest.raises(ValueError, match="not a component"):
            compile_component(wasm)


def test_a_deadline_never_comes_early() -> None:
    """The first tick may come at once, so there is one more than the time divides into."""
    ticker = Ticker(Engine(engine_config()), tick_s=0.01)

    assert [ticker.ticks(seconds) for seconds in (0.001, 0.01, 0.25)] == [2, 3, 27]


@pytest.mark.parametrize(
    ("wall", "cpu", "ticks"),
    [
        pytest.param(0.01, 0.01, 100, id="a guest loops: every tick counts"),
        pytest.param(0.01, 0.03, 100, id="other threads work too: still wall time"),
        pytest.param(0.01, 0.0, 25, id="the process gets no processor: one in four"),
        pytest.param(0.02, 0.01, 100, id="half a processor: what it got"),
        pytest.param(2.0, 0.001, 25, id="the machine is suspended again and again: one look each"),
    ],
)
def test_a_deadline_counts_the_time_a_guest_could_run(wall: float, cpu: float, ticks: int) -> None:
    """An overloaded machine stretches deadlines, by no more than four; it does not spend them."""
    meter = Meter(0.01, 0.0, 0.0)

    counted = sum(meter.ticks(step * wall, step * cpu) for step in range(1, 101))

    assert counted in range(ticks - 1, ticks + 1)


class CountingEngine:
    """Counts epochs in place of an engine."""

    def __init__(self) -> None:
        self.epochs = 0
        self.moved = threading.Event()

    def increment_epoch(self) -> None:
        self.epochs += 1
        self.moved.set()


def test_the_ticker_rests_when_nothing_runs_and_wakes_for_the_next_call() -> None:
    """An idle POP does not wake up; the deadline of a call after a rest still works."""
    engine = CountingEngine()
    ticker = Ticker(engine, tick_s=0.001, grace_s=0.005)  # type: ignore[arg-type]
    ticker.started()
    assert engine.moved.wait(5)
    ticker.finished()
    _until(lambda: ticker.resting)
    rested = engine.epochs
    engine.moved.clear()

    ticker.started()

    assert engine.moved.wait(5)
    assert engine.epochs > rested
    assert not ticker.resting
    ticker.finished()


def test_work_done_while_the_ticker_rests_is_not_charged_to_the_next_call() -> None:
    """Otherwise the first request after a quiet time would find its deadline spent."""
    engine = CountingEngine()
    ticker = Ticker(engine, tick_s=0.001, grace_s=0.002)  # type: ignore[arg-type]
    ticker.started()
    ticker.finished()
    _until(lambda: ticker.resting)
    engine.moved.clear()
    rested, busy_until = engine.epochs, time.process_time() + 0.2
    while time.process_time() < busy_until:
        pass

    ticker.started()

    assert engine.moved.wait(5)
    assert engine.epochs - rested < 100
    ticker.finished()


class EndingEngine(CountingEngine):
    """Ends the thread that ticks it, as often as it is told to."""

    endings = 1

    def increment_epoch(self) -> None:
        if self.endings:
            self.endings -= 1
            raise SystemExit
        super().increment_epoch()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_ticking_thread_that_ended_is_replaced_before_the_next_guest_runs() -> None:
    """Without it a guest could run for ever: the call under way lost its deadline, the next one has one."""
    engine = EndingEngine()
    ticker = Ticker(engine, tick_s=0.001, grace_s=0.005)  # type: ignore[arg-type]
    ticker.started()
    _until(lambda: not ticker._alive())
    assert not ticker.resting

    ticker.started()

    assert engine.moved.wait(5)
    ticker.finished()
    ticker.finished()
    _until(lambda: ticker.resting)


def test_without_a_thread_to_tick_no_guest_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no thread left: refused with a code, and tried again for the next call."""
    engine = CountingEngine()
    ticker = Ticker(engine, tick_s=0.001, grace_s=0.005)  # type: ignore[arg-type]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable) as caught:
            ticker.started()
    ticker.started()

    assert caught.value.code == "sandbox-start"
    assert engine.moved.wait(5)
    ticker.finished()
    _until(lambda: ticker.resting)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_finds_a_dead_ticker_and_starts_it_again() -> None:
    """The guest that is under way gets its deadline back without another call; the next look finds nothing."""
    engine = EndingEngine()
    ticker = Ticker(engine, tick_s=0.001, grace_s=0.005)  # type: ignore[arg-type]
    assert ticker.faults() == {}
    ticker.started()
    _until(lambda: not ticker._alive())

    assert ticker.faults() == {"ticker-dead": "it ended while a function ran"}
    assert engine.moved.wait(5)
    assert ticker.faults() == {}
    ticker.finished()
    _until(lambda: ticker.resting)


def test_a_ticker_that_cannot_be_started_is_a_fault_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no function is called meanwhile: each look tries."""
    ticker = Ticker(CountingEngine(), tick_s=0.001, grace_s=0.005)  # type: ignore[arg-type]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable):
            ticker.started()
        assert [ticker.faults(), ticker.faults()] == [{"ticker-dead": "can't start new thread"}] * 2
    ticker.faults()

    assert ticker.faults() == {}


def _until(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
