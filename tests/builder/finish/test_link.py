"""Linking: one core module that answers as many did, without what nobody uses; anything strange is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.finish.component import read_wiring
from builder.finish.core_module import read_core_module
from builder.finish.link import link
from consent_core.errors import Rejected
from tests.builder.finish.components import answer, binary, linked, of_modules

# As componentize-py lays them out: the first owns memory, table and addresses; libraries import them.
OWNER = """(memory (export "memory") 2) (table (export "table") 8 funcref)
    (global (export "base") i32 (i32.const 1024)) (global (export "first") i32 (i32.const 2))
    (global (export "stack") (mut i32) (i32.const 4096)) (global (export "got") (mut i32) (i32.const 1032))"""
LIBRARY = """(import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
    (import "env" "base" (global $base i32)) (import "env" "first" (global $first i32))
    (import "env" "stack" (global $stack (mut i32)))
    (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $triple (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "nobody") (result i32) (i32.const 77))
    (func (export "push") (global.set $stack (i32.sub (global.get $stack) (i32.const 16))))
    (global (export "place") i32 (i32.add (global.get $base) (i32.const 8)))
    (elem (global.get $first) $double $triple)
    (data (i32.add (global.get $base) (i32.const 8)) "\\05\\00\\00\\00")"""
MAIN = """(import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
    (import "env" "stack" (global $stack (mut i32))) (import "env" "got" (global $got (mut i32)))
    (import "lib" "push" (func $push)) (import "lib" "place" (global $place i32))
    (type $unary (func (param i32) (result i32)))
    (export "memory" (memory 0))
    (func (export "answer") (param i32) (result i32)
      (call $push)
      (i32.add (global.get $stack)
        (i32.add (i32.load (global.get $got))
          (i32.add (i32.load (global.get $place)) (call_indirect (type $unary) (local.get 0) (i32.const 3))))))"""
WIRING = """
    (core instance $own (instantiate $0))
    (core instance $lib (instantiate $1 (with "env" (instance $own))))
    (core instance $main (instantiate $2 (with "env" (instance $own)) (with "lib" (instance $lib))))"""
TWO = """
    (core instance $own (instantiate $0))
    (core instance $main (instantiate $1 (with "env" (instance $own))))"""
REFUSED = {
    "a start function": '(memory (export "memory") 1) (func $f) (start $f)',
    "a shared or 64-bit memory": '(memory (export "memory") i64 1)',
    "an element segment of form": '(memory (export "memory") 1) (func $f) (elem declare func $f)',
    "not put into memory 0": '(memory (export "memory") 1) (data "passive")',
    "an instruction": '(memory (export "memory") 1) (func (export "f") (drop (i8x16.splat (i32.const 1))))',
    "a section of kind": '(memory (export "memory") 1) (tag $t)',
    "expected one memory": '(memory (export "memory") 1) (memory (export "other") 1)',
}


def test_it_answers_as_the_component_did() -> None:
    """Calls, tables, memory and globals across three modules: 4096 - 16, twice the 5 in memory, three times x."""
    assert answer(linked(of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING)), 7) == 4080 + 5 + 5 + 21


def test_what_nobody_uses_is_left_out_and_constants_are_no_globals() -> None:
    """Only the stack pointer is set by code; the unused function is gone, those in the table stay."""
    module = read_core_module(linked(of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING)))

    assert [entry.mutable for entry in module.globals] == [True]
    assert module.imports == ()
    assert len(module.bodies) == 4
    assert set(module.exports) == {"answer", "memory"}


def test_offsets_are_constants() -> None:
    """That is what lets an engine fill tables and memory without running code."""
    module = read_core_module(linked(of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING)))

    assert [entry.offset[0] for entry in (*module.elements, *module.data)] == [0x41, 0x41]


def test_an_export_can_be_asked_for_besides() -> None:
    """The builder calls functions of the interpreter that the component does not lift."""
    core = linked(of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING), "nobody")

    assert read_core_module(core).exports.keys() == {"answer", "memory", "nobody"}


def test_two_tables_become_one() -> None:
    """Engines that keep a pool of tables have room for one; indices of the second are shifted where they are used."""
    first = '(memory (export "memory") 1) (table (export "t") 3 funcref)'
    second = """(import "env" "t" (table $a 3 funcref)) (import "env" "memory" (memory 1))
        (export "memory" (memory 0)) (table $b 2 funcref) (type $f (func (param i32) (result i32)))
        (func $one (param i32) (result i32) (i32.const 1)) (func $two (param i32) (result i32) (i32.const 2))
        (elem (table $a) (i32.const 0) func $one) (elem (table $b) (i32.const 0) func $one $two)
        (func (export "answer") (param i32) (result i32)
          (i32.add (i32.mul (i32.const 10) (call_indirect $a (type $f) (i32.const 0) (i32.const 0)))
                   (call_indirect $b (type $f) (i32.const 0) (local.get 0))))"""
    core = linked(of_modules(first, second, wiring=TWO))

    assert [answer(core, x) for x in (0, 1)] == [11, 12]
    assert len(read_core_module(core).tables) == 1


@settings(max_examples=15)
@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=90), st.integers(0, 2**31 - 1))
def test_indices_of_any_size_are_written_right(values: list[int], x: int) -> None:
    """Many functions, each of a type of its own, with blocks of those types, loops and branches."""
    functions = "".join(
        f"""(type $t{n} (func (param i32 {"i64 " * n}) (result i32)))
        (type $b{n} (func (param i32 {"f32 " * n}) (result i32)))
        (func $f{n} (type $t{n})
          (local.get 0) {"(f32.const 1)" * n}
          (block (type $b{n}) {"(drop)" * n} (i32.const {value}) (i32.xor)))"""
        for n, value in enumerate(values)
    )
    calls = "".join(f"(local.set 0 (call $f{n} (local.get 0) {'(i64.const 0)' * n}))" for n in range(len(values)))
    main = f"""(memory (export "memory") 1) {functions}
        (func (export "answer") (param i32) (result i32)
          {calls} (block (block (br_table 0 1 0 (i32.const 2)))) (local.get 0))"""
    core = linked(of_modules(main, wiring="(core instance $main (instantiate $0))"))

    expected = x
    for value in values:
        expected ^= value
    assert answer(core, x) == expected


@pytest.mark.parametrize(("reason", "module"), REFUSED.items(), ids=REFUSED)
def test_what_componentize_py_does_not_emit_is_refused(reason: str, module: str) -> None:
    """Nothing is guessed: the build then keeps the component as it was."""
    main = f'{module} (func (export "answer") (param i32) (result i32) (local.get 0))'
    called = main.replace("(local.get 0))", "(call 0) (local.get 0))") if "splat" in main else main
    component = of_modules(called, wiring="(core instance $main (instantiate $0))")

    with pytest.raises(Rejected) as refusal:
        link(read_wiring(component), ("other",))

    assert refusal.value.code == "build-step"
    assert reason in refusal.value.message


def test_an_address_that_code_may_change_is_refused() -> None:
    """A table filled from a global that some function sets cannot be filled ahead."""
    settable = """(import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
        (import "env" "first" (global $first i32)) (export "memory" (memory 0))
        (global $place (mut i32) (i32.const 1))
        (global $copy i32 (global.get $place))
        (func $f) (elem (global.get $copy) $f)
        (func (export "answer") (param i32) (result i32) (global.set $place (local.get 0)) (i32.const 1))"""
    component = of_modules(OWNER, settable, wiring=TWO)

    with pytest.raises(Rejected, match="depends on a global that code may set"):
        link(read_wiring(component))


def test_two_allocators_of_one_name_are_not_confused() -> None:
    """An export asked for that two modules have is refused rather than taken from either."""
    with pytest.raises(Rejected, match="two things want to be push"):
        link(read_wiring(of_modules(OWNER + '(func (export "push"))', LIBRARY, MAIN, wiring=WIRING)), ("push",))


@pytest.mark.parametrize("cut", [9, 40, 200, -1])
def test_a_cut_file_is_refused(cut: int) -> None:
    """By name, not by an exception of the reader."""
    with pytest.raises(Rejected, match="ends in the middle"):
        read_wiring(of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING)[:cut])


def test_a_core_module_is_no_component() -> None:
    """The header says what a file is."""
    with pytest.raises(Rejected, match="not the kind"):
        read_wiring(binary("(module)"))


def test_the_same_component_gives_the_same_bytes() -> None:
    """From here on, builds are reproducible."""
    component = of_modules(OWNER, LIBRARY, MAIN, wiring=WIRING)

    assert linked(component) == linked(component)
