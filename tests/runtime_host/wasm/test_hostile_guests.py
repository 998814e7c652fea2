"""What a guest may try, and what it gets: its own code, its own instance ended, nothing else touched."""

import threading
from collections import Counter

import psutil
import pytest

from consent_core.decision.contract import (
    Candidate,
    Err,
    Ok,
    Signals,
)
from consent_core.errors import Unavailable
from runtime_host.wasm import failures
from runtime_host.wasm.exports import VALIDATE
from runtime_host.wasm.sandbox import MIB, Limits, SandboxPool
from tests.runtime_host.wasm import guests
from tests.runtime_host.wasm.guests import compiled, deciding, validating

ARGUMENTS = ("home-hero", Signals(), (Candidate("asset", ("tag",), ("Copy",)),), 3)
QUICK = Limits(deadline_s=0.03)


def _result(kind: int, first: int = 0, second: int = 0) -> str:
    """A body that returns a result at 1024: ok (0) or err (1), then two words (an asset's address and length)."""
    words = f"(i32.store (i32.const 1028) (i32.const {first})) (i32.store (i32.const 1032) (i32.const {second}))"
    return f"(i32.store8 (i32.const 1024) (i32.const {kind})) {words} (i32.const 1024)"


LOOPS = "(loop $again (br $again)) unreachable"
MISDEEDS = {
    "loops for ever": (deciding(LOOPS), "sandbox-deadline"),
    "loops while it starts": (deciding("unreachable", f"(func $s {LOOPS}) (start $s)"), "sandbox-deadline"),
    "hits an unreachable": (deciding("unreachable"), "sandbox-trap"),
    "divides by zero": (deciding("(i32.div_s (i32.const 1) (i32.const 0))"), "sandbox-trap"),
    "reads outside its memory": (deciding("(i32.load (i32.const -1))"), "sandbox-trap"),
    "recurses without end": (deciding("(call $down) unreachable", "(func $down (call $down))"), "sandbox-stack"),
    "starts with 1 GiB": (deciding("unreachable", pages=16384), "sandbox-memory"),
    "has twenty memories": (deciding("unreachable", "(memory 1)" * 20), "sandbox-memory"),
    "has fifty tables": (deciding("unreachable", "(table 1 funcref)" * 50), "sandbox-memory"),
    "has a table of ten million": (deciding("unreachable", "(table 10000000 funcref)"), "sandbox-memory"),
    "returns a pointer outside": (deciding("(i32.const 0x7ffffff0)"), "sandbox-rubbish"),
    "returns a crooked pointer": (deciding("(i32.const 3)"), "sandbox-rubbish"),
    "returns neither ok nor err": (deciding(_result(7)), "sandbox-rubbish"),
    "returns error 99 of 4": (deciding(_result(1, 99)), "sandbox-rubbish"),
    "returns a string of 2 GiB": (deciding(_result(0, 8, 0x7FFFFFFF)), "sandbox-rubbish"),
    "returns a string of 2 MiB": (deciding(_result(0, 0x100000, 0x200000), pages=64), "sandbox-rubbish"),
    "returns what is not UTF-8": (
        deciding("(i32.store (i32.const 8) (i32.const 0xfffefdfc))" + _result(0, 8, 4)),
        "sandbox-rubbish",
    ),
    "allocates outside its memory": (
        guests.component(
            f"""(module (memory (export "memory") 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -16))
              (func (export "{guests.DECIDE}") (param i32) (result i32) unreachable))""",
            guests.CONTRACT,
            "edge-personalization",
        ),
        "sandbox-rubbish",
    ),
}


@pytest.fixture(scope="module")
def polite() -> SandboxPool:
    """A guest that does as it should, in the same process."""
    return SandboxPool(compiled(guests.counting()))


def _listing(items: int) -> bytes:
    """A validation guest whose claims have this many scopes, all the same byte of its memory."""
    return validating(
        f"""(i32.store8 offset=1024 (i32.const 0) (i32.const 0))
        (i32.store offset=1088 (i32.const 0) (i32.const 0x100000))
        (i32.store offset=1092 (i32.const 0) (i32.const {items})) (i32.const 1024)""",
        pages=1000,
    )


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_each_misdeed_has_its_code_and_ends_only_its_own_instance(misdeed: str, polite: SandboxPool) -> None:
    """The same pool answers its next request with the same code, and another guest is served as before."""
    wasm, code = MISDEEDS[misdeed]
    limits = QUICK if code == "sandbox-deadline" else Limits(deadline_s=5)
    pool = SandboxPool(compiled(wasm), limits)

    for _ in range(2):
        with pytest.raises(Unavailable) as failure:
            pool.call(*ARGUMENTS)
        assert code == failure.value.code
    assert isinstance(polite.call(*ARGUMENTS), Ok)


def test_a_guest_that_traps_on_one_request_serves_the_next() -> None:
    """A trap poisons the instance (`cannot enter component instance`); the next request has another one."""
    pool = SandboxPool(compiled(guests.trapping_when("!", f"{guests.FIRST_CANDIDATE} (i32.const 1024)")))

    with pytest.raises(Unavailable):
        pool.call("!", *ARGUMENTS[1:])

    assert isinstance(pool.call(*ARGUMENTS), Ok)


def test_growing_to_1_gib_is_refused_inside_the_guest() -> None:
    """`memory.grow` says -1, which this guest answers with `bad-input`; nothing was allocated."""
    grow = "(if (i32.ne (memory.grow (i32.const 16384)) (i32.const -1)) (then unreachable))" + _result(1, 3)

    assert Err("bad-input") == SandboxPool(compiled(deciding(grow))).call(*ARGUMENTS)


def test_growing_a_table_without_end_is_refused_inside_the_guest() -> None:
    """Tables live in host memory: the limiter counts their elements too."""
    ask = "(table.grow $t (ref.null func) (i32.const 100000000))"
    grow = f"(if (i32.ne {ask} (i32.const -1)) (then unreachable))" + _result(1, 3)
    pool = SandboxPool(compiled(deciding(grow, "(table $t 1 funcref)")))

    assert Err("bad-input") == pool.call(*ARGUMENTS)


@pytest.mark.parametrize("items", [10_001, 200_000, 60_000_000])
def test_a_list_of_absurd_length_costs_the_host_next_to_nothing(items: int) -> None:
    """Each byte of a guest's enum list becomes 32 bytes or more here: wasmtime's fuel and our limit stop it."""
    pool = SandboxPool(compiled(_listing(items)))
    before = psutil.Process().memory_info().rss

    with pytest.raises(Unavailable) as failure:
        pool.call(*VALIDATE.public[0])

    assert failure.value.code == "sandbox-rubbish"
    assert psutil.Process().memory_info().rss - before < 64 * MIB


def test_hostile_guests_leave_no_memory_behind() -> None:
    """Two thousand failed requests of three kinds; the process stays as large as it was after the first few."""
    pools = [
        SandboxPool(compiled(MISDEEDS[name][0]))
        for name in ("hits an unreachable", "returns error 99 of 4", "starts with 1 GiB")
    ]

    def round_of(times: int) -> int:
        for _ in range(times):
            for pool in pools:
                with pytest.raises(Unavailable):
                    pool.call(*ARGUMENTS)
        return psutil.Process().memory_info().rss

    first = round_of(100)

    assert round_of(600) - first < 4 * MIB


def test_a_failure_belongs_to_the_thread_that_caused_it() -> None:
    """wasmtime-py keeps the last exception in one global; with it, threads raised each other's."""
    kinds = {"hits an unreachable": "sandbox-trap", "returns a crooked pointer": "sandbox-rubbish"}
    seen: Counter[tuple[str, str]] = Counter()

    def work(name: str) -> None:
        pool = SandboxPool(compiled(MISDEEDS[name][0]))
        for _ in range(200):
            try:
                pool.call(*ARGUMENTS)
                seen[name, "nothing"] += 1
            except Unavailable as failure:
                seen[name, failure.code] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in [*kinds, *kinds]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert dict.fromkeys(kinds.items(), 400) == dict(seen)


def test_somebody_elses_exception_in_wasmtime_py_does_not_reach_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LAST_EXCEPTION` may hold a stranger's data: our calls never look at it."""
    from wasmtime.component import _enter

    monkeypatch.setattr(_enter, "LAST_EXCEPTION", RuntimeError("another visitor's path"))
    pool = SandboxPool(compiled(MISDEEDS["hits an unreachable"][0]))

    with pytest.raises(Unavailable, match="the function trapped"):
        pool.call(*ARGUMENTS)


def test_a_guest_cannot_choose_its_code_by_naming_its_functions() -> None:
    """The backtrace carries the guest's own function names; only the cause is read."""
    named = deciding('(call $"wasm trap: interrupt") unreachable', '(func $"wasm trap: interrupt" unreachable)')
    pool = SandboxPool(compiled(named))

    with pytest.raises(Unavailable) as failure:
        pool.call(*ARGUMENTS)

    assert failure.value.code == "sandbox-trap"


def test_a_message_never_carries_text_of_the_guest() -> None:
    """A failure has one of a few fixed texts, and none of wasmtime's."""
    message = "error while executing at wasm backtrace:\n 0: secret!\n\nCaused by:\n    wasm trap: secret"

    assert failures.failed_call(message).message == "the function trapped"
