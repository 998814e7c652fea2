"""The image: memory after public calls, and nothing else; what does not fit refuses, and the build goes on without."""

import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from wasmtime import Config, Engine, Instance, Module, Store

from builder import toolchain
from builder.finish import finish
from builder.finish.core_module import read_core_module
from builder.finish.image import (
    CALLS,
    EXPECTED,
    FEWEST_OBJECTS,
    HELD,
    IMMORTAL_COUNT,
    check_facts,
    check_layout,
    take_image,
    without_counts,
)
from builder.finish.interpreter import PYTHON
from builder.gate import pass_gate
from consent_core.decision.contract import Candidate, Ok, Signals
from consent_core.errors import Rejected
from runtime_host.wasm.sandbox import SandboxPool
from tests.builder.finish.components import binary
from tests.conftest import ROOT
from tests.runtime_host.wasm import guests
from tests.runtime_host.wasm.guests import DECIDE, MEMORY, compiled

FACTS = repr(EXPECTED).ljust(48)  # as long as whole pairs of addresses
CLOCK = '(import "wasi:clocks/wall-clock@0.2.9" "now" (func))'
COUNT_CALLS = "(i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))"


@cache
def contract() -> Mapping[str, Any]:
    return toolchain.wit_of(ROOT / "wit")


def interpreter(said: str = FACTS, decide: str = COUNT_CALLS, extra: str = "", without: str = "") -> bytes:
    """A module that claims to be a linked guest: whatever Python it is asked to evaluate, it answers `said`."""
    python = {
        "PyGILState_Ensure": "(result i32) (i32.const 1)",
        "PyGILState_Release": "(param i32)",
        "PyImport_AddModule": "(param i32) (result i32) (i32.const 1)",
        "PyModule_GetDict": "(param i32) (result i32) (i32.const 1)",
        "PyRun_StringFlags": "(param i32 i32 i32 i32 i32) (result i32) (i32.const 1)",
        "PyBytes_AsString": "(param i32) (result i32) (i32.const 4096)",
        "PyBytes_Size": f"(param i32) (result i32) (i32.const {len(said)})",
    }
    functions = "".join(f'(func (export "{name}") {text})' for name, text in python.items() if name != without)
    text = f"""(module {extra} {MEMORY.format(pages=2)} {functions} (data (i32.const 4096) "{said}")
      (func (export "{DECIDE}") (param i32) (result i32) {decide} (i32.const 1024))
      (func (export "cabi_post_{DECIDE}") (param i32)))"""
    return binary(text.replace("(global $top (mut i32) (i32.const 65536))", "").replace(*_TOP_IN_MEMORY).replace(*_SET))


# The stand-in keeps how far its heap has grown in memory, as a real allocator does: a global would have moved.
_TOP_IN_MEMORY = ("(global.get $top)", "(i32.add (i32.const 65536) (i32.load (i32.const 16)))")
_SET = (
    "(global.set $top (i32.add (local.get $at) (local.get $new)))",
    "(i32.store (i32.const 16) (i32.and (i32.const 0xff) (i32.add (local.get $at) (local.get $new))))",
)
REFUSED = {
    "a call moves a global": (
        {"extra": "(global $g (mut i32) (i32.const 0))", "decide": "(global.set $g (i32.const 1))"},
        "a call moved a global",
    ),
    "a call traps": ({"decide": "(unreachable)"}, "decide failed"),
    "it asks a host": (
        {"extra": '(import "wasi:clocks/wall-clock@0.2.9" "now" (func))'},
        "it asks a host for wasi:clocks",
    ),
    "no interpreter": ({"without": "PyRun_StringFlags"}, "its interpreter has no PyRun_StringFlags"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_no_image_is_taken(change: dict[str, str], message: str) -> None:
    """The module stays as it was linked, and the reason is told."""
    core = interpreter(**change)
    taken = take_image(core, contract())

    assert taken.steps == ()
    assert message in taken.refused["image"]
    assert read_core_module(taken.core).data == read_core_module(core).data


def test_the_memory_after_the_calls_is_where_it_starts() -> None:
    """This guest counts its calls in memory; the functions of the interpreter are exported no more."""
    taken = take_image(interpreter(), contract())
    store = Store(Engine(Config()))
    exports = Instance(store, Module(store.engine, taken.core), []).exports(store)
    memory = exports["memory"]

    assert taken.steps[0] == "image"
    assert struct.unpack("<I", memory.read(store, 2048, 2052)) == (CALLS,)  # type: ignore[union-attr]
    assert not set(exports.keys()) & set(PYTHON)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (FACTS.replace("14", "15"), "expected ('cpython', (3, 14)"),
        (FACTS.replace("cpython", "graalpy"), "graalpy"),
        (FACTS.replace("2147483647", "9223372036854775807"), "9223372036854775807"),
        (FACTS, "an object's type is not where it was expected"),
    ],
    ids=["another version", "another interpreter", "64 bits", "another layout"],
)
def test_objects_stay_mortal(said: str, message: str) -> None:
    """In another interpreter, or one whose memory looks otherwise, only the image of the calls is taken."""
    taken = take_image(interpreter(said=said), contract())

    assert taken.steps == ("image",)
    assert message in taken.refused["immortal"]


def test_the_facts_are_exact() -> None:
    """What is expected passes; so little as another release does not."""
    check_facts(FACTS.encode())
    for said in (FACTS.replace("True", "False", 1), FACTS.replace(")", ", 1)")):
        with pytest.raises(Rejected, match="its interpreter is"):
            check_facts(said.encode())


def memory_of(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def test_the_layout_is_looked_at_in_memory() -> None:
    """Type behind count; None immortal; a count that rises by the references made. Each of the three is needed."""
    probes = [(0, 77), (8, 88)]
    good = memory_of(3 << 30, 77, 1, 88), memory_of(3 << 30, 77, 1 + HELD, 88)
    check_layout(*good, probes)

    for before, after, reason in (
        (memory_of(3 << 30, 77, 1, 89), good[1], "type"),
        (memory_of(5, 77, 1, 88), good[1], "None"),
        (good[0], memory_of(3 << 30, 77, HELD, 88), "count"),
    ):
        with pytest.raises(Rejected, match=reason):
            check_layout(before, after, probes)


def test_only_real_counts_of_real_objects_become_immortal() -> None:
    """A place whose type differs held no such object when the image was taken; a pointer is no count."""
    alive = [(1, 7)] * FEWEST_OBJECTS
    others = [(0, 7), (1 << 20, 7), (1, 8)]
    memory = memory_of(*(word for pair in (*alive, *others) for word in pair))
    found = memory_of(*(word for at in range(len(alive) + len(others) + 2) for word in (at * 8, 7)))

    changed = without_counts(memory, found)

    expected = [(IMMORTAL_COUNT, 7)] * len(alive) + others
    assert changed == memory_of(*(word for pair in expected for word in pair))


def test_too_few_objects_are_a_mistake() -> None:
    """An interpreter has thousands."""
    with pytest.raises(Rejected, match="only 1 objects"):
        without_counts(memory_of(1, 7), memory_of(0, 7))


def test_a_component_without_its_image_still_answers(tmp_path: Path) -> None:
    """The build falls back, says which step is missing and why, and the component passes the gate."""
    (tmp_path / "wit").mkdir()
    (tmp_path / "wit" / "world.wit").write_bytes((ROOT / "wit" / "world.wit").read_bytes())
    (tmp_path / "bare.wasm").write_bytes(guests.counting())
    worlds, output = ("edge-personalization",), tmp_path / "out.wasm"

    finished = finish(tmp_path / "bare.wasm", tmp_path / "wit", worlds, output)

    assert finished.steps == ("link",)
    assert "its interpreter has no PyGILState_Ensure" in finished.refused["image"]
    assert pass_gate(output, tmp_path / "wit", worlds[0]).imports == ()
    answer = SandboxPool(compiled(output.read_bytes())).call("s", Signals(), (Candidate("a", (), ("b",)),), 1)
    assert isinstance(answer, Ok)
