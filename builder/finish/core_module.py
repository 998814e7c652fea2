"""One core module, taken apart: what it imports, defines, exports and puts into tables and memory.

Function bodies stay bytes (`instructions` reads them). What componentize-py does not emit is refused rather than
guessed at: shared or 64-bit memories, exceptions, garbage-collected types, element segments of expressions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from builder.finish.binary import CORE_MODULE, Reader, refuse, sections

I32 = 0x7F
END = 0x0B
I32_CONST, I64_CONST, F32_CONST, F64_CONST = 0x41, 0x42, 0x43, 0x44
GLOBAL_GET, I32_ADD, I32_SUB = 0x23, 0x6A, 0x6B
FUNCTION_TYPE = 0x60
FUNCTIONS = 0x70  # the type of a table that holds functions


class Kind(IntEnum):
    """What an import or export is, as the binary format numbers it."""

    FUNCTION = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3


@dataclass(frozen=True, slots=True)
class Import:
    """`described`: the type as encoded; of a function, the number of its type."""

    module: str
    name: str
    kind: Kind
    described: bytes


@dataclass(frozen=True, slots=True)
class Global:
    """A global that the module defines. `start`: the constant expression it starts with, `end` included."""

    type: int
    mutable: bool
    start: bytes


@dataclass(frozen=True, slots=True)
class Elements:
    """Functions that are put into a table from `offset` on when the module is instantiated."""

    table: int
    offset: bytes
    functions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes that are put into memory at `offset` when the module is instantiated."""

    offset: bytes
    content: bytes


@dataclass(slots=True)
class CoreModule:
    """Index spaces hold imports first, as the format has them; the fields here are the module's own definitions."""

    types: tuple[bytes, ...] = ()
    imports: tuple[Import, ...] = ()
    functions: tuple[int, ...] = ()
    tables: tuple[bytes, ...] = ()
    memories: tuple[bytes, ...] = ()
    globals: tuple[Global, ...] = ()
    exports: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    start: int | None = None
    elements: tuple[Elements, ...] = ()
    bodies: tuple[bytes, ...] = ()
    data: tuple[Data, ...] = ()

    def imported(self, kind: Kind) -> list[Import]:
        """The imports of one kind, in the order of its index space."""
        return [entry for entry in self.imports if entry.kind == kind]


def read_core_module(data: bytes) -> CoreModule:
    """Take a module apart. Raises: Rejected("build-step")."""
    module = CoreModule()
    for kind, body in sections(data, CORE_MODULE):
        if kind == 0 or kind == 12:  # custom; the number of data segments
            continue
        if kind not in _PARTS:
            raise refuse(f"a core module has a section of kind {kind}")
        name, read = _PARTS[kind]
        setattr(module, name, read(Reader(body)))
    return module


def _type(reader: Reader) -> bytes:
    start = reader.at
    if reader.byte() != FUNCTION_TYPE:
        raise refuse("a type that is no function's")
    for _ in range(2):
        reader.take(reader.unsigned())
    return reader.since(start)


def _import(reader: Reader) -> Import:
    module, name, kind = reader.name(), reader.name(), reader.byte()
    if kind not in _DESCRIBED:
        raise refuse(f"an import of kind {kind}")
    start = reader.at
    _DESCRIBED[kind](reader)
    return Import(module, name, Kind(kind), reader.since(start))


def _limits(reader: Reader) -> bytes:
    """Of a table or memory: `0 min` or `1 min max`; anything else is shared or 64-bit."""
    start = reader.at
    flags = reader.byte()
    if flags > 1:
        raise refuse("a shared or 64-bit memory")
    for _ in range(flags + 1):
        reader.unsigned()
    return reader.since(start)


def _table(reader: Reader) -> bytes:
    start = reader.at
    reader.byte()
    _limits(reader)
    return reader.since(start)


def _global_type(reader: Reader) -> tuple[int, bool]:
    return reader.byte(), bool(reader.byte())


def _global(reader: Reader) -> Global:
    return Global(*_global_type(reader), constant_expression(reader))


def constant_expression(reader: Reader) -> bytes:
    """The bytes of a constant expression with its `end`."""
    start = reader.at
    while (operation := reader.byte()) != END:
        if operation in _OPERANDS:
            _OPERANDS[operation](reader)
        elif operation not in (I32_ADD, I32_SUB):
            raise refuse(f"a constant expression with {operation:#x}")
    return reader.since(start)


def _exports(reader: Reader) -> dict[str, tuple[Kind, int]]:
    return dict(reader.vector(lambda entry: (entry.name(), (Kind(entry.byte()), entry.unsigned()))))


def _elements(reader: Reader) -> Elements:
    form = reader.unsigned()
    if form not in (0, 2):
        raise refuse(f"an element segment of form {form}")
    table = reader.unsigned() if form else 0
    offset = constant_expression(reader)
    if form and reader.byte():
        raise refuse("an element segment that holds no functions")
    return Elements(table, offset, reader.vector(Reader.unsigned))


def _body(reader: Reader) -> bytes:
    return reader.take(reader.unsigned())


def _data(reader: Reader) -> Data:
    if reader.unsigned():
        raise refuse("a data segment that is not put into memory 0 at the start")
    offset = constant_expression(reader)
    return Data(offset, reader.take(reader.unsigned()))


def _vector_of(item: Callable[[Reader], object]) -> Callable[[Reader], object]:
    return lambda reader: reader.vector(item)


_DESCRIBED: dict[int, Callable[[Reader], object]] = {0: Reader.unsigned, 1: _table, 2: _limits, 3: _global_type}
_OPERANDS: dict[int, Callable[[Reader], object]] = {
    I32_CONST: Reader.signed,
    I64_CONST: Reader.signed,
    F32_CONST: lambda reader: reader.take(4),
    F64_CONST: lambda reader: reader.take(8),
    GLOBAL_GET: Reader.unsigned,
}
_PARTS: dict[int, tuple[str, Callable[[Reader], object]]] = {
    1: ("types", _vector_of(_type)),
    2: ("imports", _vector_of(_import)),
    3: ("functions", _vector_of(Reader.unsigned)),
    4: ("tables", _vector_of(_table)),
    5: ("memories", _vector_of(_limits)),
    6: ("globals", _vector_of(_global)),
    7: ("exports", _exports),
    8: ("start", Reader.unsigned),
    9: ("elements", _vector_of(_elements)),
    10: ("bodies", _vector_of(_body)),
    11: ("data", _vector_of(_data)),
}


def constant_parts(expression: bytes) -> Iterator[tuple[int, int]]:
    """Operation and operand of each step of a constant expression of whole numbers, without `end`."""
    reader = Reader(expression)
    while (operation := reader.byte()) != END:
        if operation in (I32_CONST, I64_CONST):
            yield operation, reader.signed()
        elif operation == GLOBAL_GET:
            yield operation, reader.unsigned()
        elif operation in (I32_ADD, I32_SUB):
            yield operation, 0
        else:
            raise refuse("a floating-point number where an address is needed")
