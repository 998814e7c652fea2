"""What the builder runs inside the interpreter it finishes: CPython 3.14 on 32 bits, without files, clock or output.

The builder executes this source there and evaluates its functions. What they leave behind stays in the image: names
of this file, and the objects that fill the heap's holes.
"""

import gc
import sys
from array import array
from collections.abc import Callable
from types import CodeType, FrameType

POOL = 16 * 1024  # bytes of one pool of the small-object allocator (Include/internal/pycore_obmalloc.h)
POOL_HEADER = 48
STEP = 8  # between its size classes, on 32 bits
LARGEST = 512
BYTES_HEADER = 17  # of a bytes object, with its final zero
ENOUGH = 400_000  # objects: the heap of a guest has a tenth of it

probes: list[object] = []
held: list[object] = []
kept: list[object] = []


def facts() -> bytes:
    """What the builder must know of this interpreter before it touches its memory."""
    known = (
        sys.implementation.name,
        tuple(sys.version_info[:2]),
        sys.maxsize,
        sys._is_gil_enabled(),  # type: ignore[attr-defined]  # since 3.13
        sys._is_immortal(None),  # type: ignore[attr-defined]  # since 3.14
    )
    return repr(known).encode()


def probe() -> bytes:
    """Addresses of objects of several types, and of those types."""
    probes[:] = [object(), [1], {2: 3}, ("a", [4]), "text".join(["5", "6"]), 7.5, facts]
    return array("I", [number for each in (None, *probes) for number in (id(each), id(type(each)))]).tobytes()


def hold(times: int) -> bytes:
    """Refer to each probe so many times more."""
    held[:] = [each for each in probes for _ in range(times)]
    return b""


def fill_holes() -> bytes:
    """Occupy every free block among small objects, so that a request's objects come to lie side by side.

    An allocation gets a block of a partly used pool first, all over the heap. After this there is none.
    Before it the collector empties the free lists; it is off from then on: an instance serves one request.
    """
    gc.collect()
    gc.disable()
    for size in range(STEP, LARGEST + 1, STEP):
        _fill(size)
    return b""


def _fill(size: int) -> None:
    """Blocks of one size until a third of a pool came one after the other: it was a new one."""
    make = _maker(size)
    in_a_row = last = 0
    while in_a_row < (POOL - POOL_HEADER) // size // 3 and len(kept) < ENOUGH:
        kept.append(make())
        in_a_row = in_a_row + 1 if 0 < id(kept[-1]) - last <= 3 * size else 0
        last = id(kept[-1])


def _maker(size: int) -> Callable[[], object]:
    if size == STEP:
        return object
    if size == 2 * STEP:
        return lambda: 0.5 * len(kept)
    return lambda: bytes(size - BYTES_HEADER)


def objects() -> bytes:
    """Address and type's address of every object that lives now, frames aside."""
    seen: set[int] = set()
    found = array("I")
    todo = gc.get_objects()
    own = {id(seen), id(found), id(todo)}
    while todo:
        thing = todo.pop()
        if id(thing) in seen or id(thing) in own or isinstance(thing, FrameType):
            continue
        seen.add(id(thing))
        found.extend((id(thing), id(type(thing))))
        todo.extend(gc.get_referents(thing))
        if isinstance(thing, CodeType):
            todo.extend(_parts(thing))
    return found.tobytes()


def _parts(code: CodeType) -> tuple[object, ...]:
    """What a code object refers to but the collector does not follow."""
    return (
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_qualname,
        code.co_filename,
        code.co_linetable,
        code.co_exceptiontable,
    )


def all_immortal() -> bytes:
    """Whether these very objects are."""
    return repr(all(sys._is_immortal(each) for each in (probe, objects, gc, kept))).encode()  # type: ignore[attr-defined]
