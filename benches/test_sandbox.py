"""What a fresh sandbox costs, with typed contract, deadline and memory limit on.

`fresh`: the request alone, in a single-use instance that was made ahead and touched, as a POP serves it when it is not
busy; `untouched`: when it is. `fresh_with_its_making`:
instance, request and drop in one piece; `fresh_cpu` the same in processor time: what a second of one core is spent on.
`converters` against `stock` are calls on one kept instance.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from wasmtime.component import Record

from consent_core.decision.contract import (
    Candidate,
    Interaction,
    PageContext,
    Signals,
)
from runtime_host.wasm.exports import DECIDE, VALIDATE
from runtime_host.wasm.loading import LoadedComponent, load_component
from runtime_host.wasm.sandbox import SandboxPool
from tests.conftest import Components, components
from tests.functions.tokens import EXPECTED, KEYS, issued

ROUNDS = 400
DECISION = (
    "home-hero",
    Signals(
        page=PageContext("/boots/winter", "boots", ("boots", "winter", "leather"), "en"),
        history=tuple(Interaction("click", f"boot-{n}", ("boots", "brown"), n) for n in range(5)),
    ),
    tuple(Candidate(f"asset-{n}", ("boots", "snow"), ("For winter.", "Warm boots for you.")) for n in range(6)),
    3,
)
VALIDATION = (issued(), KEYS, EXPECTED)
REQUESTS = {"personalization": (DECIDE, DECISION), "consent_validation": (VALIDATE, VALIDATION)}

__all__ = ["components"]  # the session fixture of the tests


@pytest.fixture(scope="module", params=REQUESTS)
def function(request: pytest.FixtureRequest, components: Components) -> LoadedComponent:
    return load_component(components[request.param], components.trust, int(time.time()), frozenset())


@pytest.fixture
def arguments(function: LoadedComponent) -> tuple[Any, ...]:
    return REQUESTS[function.name][1]


@pytest.fixture
def pool(function: LoadedComponent) -> Iterator[SandboxPool]:
    with SandboxPool(function) as pool:
        pool.call(*REQUESTS[function.name][1])
        yield pool


def test_fresh(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    def make_ahead() -> tuple[tuple[Any, ...], dict[str, Any]]:
        pool.prepare()
        pool.touch()
        return arguments, {}

    benchmark.pedantic(pool.call, setup=make_ahead, rounds=ROUNDS, warmup_rounds=20)


def test_untouched(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    def make_ahead() -> tuple[tuple[Any, ...], dict[str, Any]]:
        pool.prepare()
        return arguments, {}

    benchmark.pedantic(pool.call, setup=make_ahead, rounds=ROUNDS, warmup_rounds=20)


def test_fresh_with_its_making(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    benchmark.pedantic(pool.call, arguments, rounds=ROUNDS, warmup_rounds=20)


@pytest.mark.benchmark(timer=time.thread_time)
def test_fresh_cpu(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    """Processor time of the thread alone: what a busy machine does not add to."""
    benchmark.pedantic(pool.call, arguments, rounds=ROUNDS, warmup_rounds=20)


def test_converters(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    sandbox = pool._instantiate()
    run: Callable[..., Any] = lambda *values: pool._run(sandbox, values)  # noqa: E731
    benchmark.pedantic(run, arguments, rounds=ROUNDS, warmup_rounds=20)
    sandbox.close()


def test_stock(benchmark: BenchmarkFixture, pool: SandboxPool, arguments: tuple[Any, ...]) -> None:
    sandbox = pool._instantiate()
    sandbox._store.set_epoch_deadline(10**9)
    stock = [_stock(value) for value in arguments]
    benchmark.pedantic(sandbox._function, (sandbox._store, *stock), rounds=ROUNDS, warmup_rounds=20)
    sandbox.close()


def _stock(value: Any) -> Any:
    """Our values as wasmtime-py's own conversion wants them."""
    if isinstance(value, tuple) and not hasattr(value, "_asdict"):
        return [_stock(item) for item in value]
    fields = value._asdict() if hasattr(value, "_asdict") else _fields(value)
    if fields is None:
        return value
    record = Record()
    vars(record).update({name.replace("_", "-"): _stock(field) for name, field in fields.items()})
    return record


def _fields(value: Any) -> dict[str, Any] | None:
    names = getattr(value, "__dataclass_fields__", None)
    return None if names is None else {name: getattr(value, name) for name in names}
