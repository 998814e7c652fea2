"""The memory that a component starts with, taken after calls on public data.

    taken = take_image(core, resolved)     # .core, .steps, .refused

`image`: after some calls the interpreter has specialised its code and done what it does once; an instance begins there.
Only memory may differ from before: a global that moved could not be put back, so then nothing is taken.

`immortal`: the same with a heap without holes and without reference counts. What an instance merely reads it no longer
writes, and what it allocates lies together: fewer pages are copied for it. This depends on how CPython lays objects
out, so version and layout are looked at first, and the result is run before it is used.
"""

import ast
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from builder.finish import inside
from builder.finish.binary import refuse
from builder.finish.interpreter import PYTHON, Program, Running
from builder.finish.sections import with_memory, without_exports
from consent_core.errors import Rejected

IMAGE, IMMORTAL = "image", "immortal"
CALLS = 120  # of an export's public requests in turn: after that the interpreter specialises nothing more
EXPECTED = ("cpython", (3, 14), 2**31 - 1, True, True)  # `inside.facts()`
IMMORTAL_COUNT = 5 << 28  # _Py_IMMORTAL_INITIAL_REFCNT of CPython 3.14 on 32 bits (Include/refcount.h)
IMMORTAL_FROM = 1 << 30  # _Py_IMMORTAL_MINIMUM_REFCNT
MAX_COUNT = 100_000  # more references than any object of a guest has; above it a word is no count
FEWEST_OBJECTS = 1_000
HELD = 7

_WORD = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Taken:
    """The module with what was done to it, and what was left out."""

    core: bytes
    steps: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def take_image(core: bytes, resolved: Mapping[str, Any]) -> Taken:
    """`core` is linked with the exports `interpreter.PYTHON`; the result is without them."""
    bare = without_exports(core, frozenset(PYTHON))
    try:
        program = Program(core, resolved)
        memory = _after_calls(program.start(), program.export.public)
    except Rejected as refusal:
        return Taken(bare, refused={IMAGE: refusal.message})
    try:
        memory, steps = _immortal(program), (IMAGE, IMMORTAL)
    except Rejected as refusal:
        return Taken(with_memory(bare, memory), (IMAGE,), {IMMORTAL: refusal.message})
    return Taken(with_memory(bare, memory), steps)


def _after_calls(running: Running, requests: Sequence[tuple[Any, ...]]) -> bytes:
    before = running.globals()
    for request in islice(cycle(requests), CALLS):
        running.call(request)
    if running.globals() != before:
        raise refuse("a call moved a global")
    return running.memory()


def _immortal(program: Program) -> bytes:
    source = Path(inside.__file__).read_text(encoding="utf-8")
    _check(program.start(), source)
    running = program.start()
    running.execute(source)
    running.evaluate("fill_holes()")
    memory = _after_calls(running, program.export.public)
    changed = without_counts(memory, running.evaluate("objects()"))  # what it leaves behind is not in `memory`
    again = program.start(changed)
    if again.evaluate("all_immortal()") != b"True":
        raise refuse("objects did not become immortal")
    _after_calls(again, program.export.public)
    return changed


def _check(running: Running, source: str) -> None:
    """Version first, then how objects lie in memory."""
    running.execute(source)
    check_facts(running.evaluate("facts()"))
    pairs = list(_pairs(running.evaluate("probe()")))
    before = running.memory()
    running.evaluate(f"hold({HELD})")
    check_layout(before, running.memory(), pairs)


def check_facts(said: bytes) -> None:
    """Return if this is the interpreter that the layout is of. Raises: Rejected("build-step")."""
    if ast.literal_eval(said.decode()) != EXPECTED:
        raise refuse(f"its interpreter is {said.decode()}, expected {EXPECTED}")


def check_layout(before: bytes, after: bytes, probes: Sequence[tuple[int, int]]) -> None:
    """Return if an object begins with its count and its type. `probes`: None first, which is immortal.

    `after`: the memory when each but None is referred to `HELD` times more. Raises: Rejected("build-step").
    """
    if any(_word(before, address + 4) != kind for address, kind in probes):
        raise refuse("an object's type is not where it was expected")
    if _word(before, probes[0][0]) < IMMORTAL_FROM:
        raise refuse("None is not immortal as expected")
    if any(_word(after, address) - _word(before, address) != HELD for address, _ in probes[1:]):
        raise refuse("an object's count of references is not where it was expected")


def without_counts(memory: bytes, found: bytes) -> bytes:
    """Memory in which every object of `found` is immortal: one whose type is still where it was, with a real count."""
    changed = bytearray(memory)
    count = 0
    for address, kind in _pairs(found):
        if address + 8 > len(memory) or _word(memory, address + 4) != kind:
            continue  # made since
        if 0 < _word(memory, address) < MAX_COUNT:
            _WORD.pack_into(changed, address, IMMORTAL_COUNT)
            count += 1
    if count < FEWEST_OBJECTS:
        raise refuse(f"only {count} objects were found")
    return bytes(changed)


def _pairs(data: bytes) -> Iterator[tuple[int, int]]:
    if len(data) % 8:
        raise refuse("its interpreter did not answer with addresses")
    return struct.iter_unpack("<II", data)


def _word(memory: bytes, address: int) -> int:
    """Four bytes as a number; -1 where there is no memory."""
    return int(_WORD.unpack_from(memory, address)[0]) if address + 4 <= len(memory) else -1
