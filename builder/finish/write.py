"""Number everything that linking reached, and encode it as one core module."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from builder.finish import binary
from builder.finish.binary import refuse
from builder.finish.component import HostFunction
from builder.finish.core_module import END, FUNCTIONS, I32, I32_ADD, I32_CONST, Kind
from builder.finish.definitions import Constants, Definitions, Item, Target
from builder.finish.instructions import GLOBAL_GET


class Write(Enum):
    """How a name inside a body is written once all numbers are known."""

    INDEX = 1
    BLOCK_TYPE = 2  # signed, where a value type could stand
    READ_GLOBAL = 3  # with its opcode: it may have become a constant
    TABLE_INDEX = 4  # the index on the stack becomes that of the one table all are put into


Code: TypeAlias = list[bytes | tuple[Write, Target | bytes]]


@dataclass(slots=True)
class Reached:
    """What the result holds, in the order in which it was found. `code`: bytes, or what to number when all is known."""

    code: dict[Item, Code] = field(default_factory=dict)
    hosts: dict[HostFunction, None] = field(default_factory=dict)
    changed: set[Item] = field(default_factory=set)  # globals that code sets
    used: dict[Item, None] = field(default_factory=dict)  # tables, memories and globals


def write(definitions: Definitions, reached: Reached, exports: dict[str, Target]) -> bytes:
    """The module. Raises: Rejected("build-step")."""
    return _Writer(definitions, reached, exports).module()


class _Writer:
    """`_tables`: where each begins in the one table, since engines that pool want no second."""

    def __init__(self, definitions: Definitions, reached: Reached, exports: dict[str, Target]) -> None:
        self._definitions = definitions
        self._reached = reached
        self._exports = exports
        self._constants = Constants(definitions, reached.changed)
        self._types: dict[bytes, int] = {}
        self._functions = sorted(reached.code, key=_order)
        self._memories = self._used(Kind.MEMORY)
        # Globals that turned out to be constants are used no more.
        self._globals = [item for item in self._used(Kind.GLOBAL) if self._constants.of(item) is None]
        self._numbers: dict[Target, int] = {}
        spaces: list[Sequence[Target]] = [[*reached.hosts, *self._functions], self._memories, self._globals]
        for space in spaces:
            self._numbers |= {target: number for number, target in enumerate(space)}
        self._tables: dict[Target, int] = {}
        self._table_size = 0
        for table in self._used(Kind.TABLE):
            self._tables[table] = self._table_size
            self._table_size += definitions.table_size(table)

    def module(self) -> bytes:
        if len(self._memories) != 1:
            raise refuse("expected one memory")
        types = self._definitions.type_of
        parts = [
            (2, [self._import(host) for host in self._reached.hosts]),
            (3, [binary.unsigned(self._type(types(item))) for item in self._functions]),
            (4, [bytes([FUNCTIONS, 0]) + binary.unsigned(self._table_size)] if self._tables else []),
            (5, [self._definitions.memory_of(item) for item in self._memories]),
            (6, [self._global(item) for item in self._globals]),
            (7, [self._export(name, target) for name, target in sorted(self._exports.items())]),
            (9, self._elements()),
            (10, [self._body(item) for item in self._functions]),
            (11, self._data()),
        ]
        parts.insert(0, (1, list(self._types)))  # when all that name them are written
        return binary.CORE_MODULE + b"".join(binary.section(kind, binary.vector(items)) for kind, items in parts)

    def _used(self, kind: Kind) -> list[Item]:
        return sorted((item for item in self._reached.used if item.kind is kind), key=_order)

    def _type(self, encoded: bytes) -> int:
        return self._types.setdefault(encoded, len(self._types))

    def _import(self, host: HostFunction) -> bytes:
        kind = binary.unsigned(self._type(self._definitions.type_of(host)))
        return binary.name(host.interface) + binary.name(host.name) + bytes([Kind.FUNCTION]) + kind

    def _global(self, item: Item) -> bytes:
        found = self._definitions.global_of(item)
        value = found.start[:-1] if found.type != I32 else i32_const(self._constants.value(item.instance, found.start))
        return bytes([found.type, found.mutable]) + value + bytes([END])

    def _export(self, name: str, target: Target) -> bytes:
        kind = Kind.FUNCTION if isinstance(target, HostFunction) else target.kind
        return binary.name(name) + bytes([kind]) + binary.unsigned(self._numbers[target])

    def _elements(self) -> list[bytes]:
        """Every element segment, in the order of instantiation."""
        written = []
        for number, module in self._definitions.modules.items():
            space = self._definitions.spaces[number]
            for entry in module.elements:
                offset = self._tables[space[Kind.TABLE][entry.table]] + self._constants.value(number, entry.offset)
                named = [binary.unsigned(self._numbers[space[Kind.FUNCTION][index]]) for index in entry.functions]
                written.append(b"\0" + i32_const(offset) + bytes([END]) + binary.vector(named))
        return written

    def _data(self) -> list[bytes]:
        """Every data segment, in the order of instantiation."""
        return [
            data_segment(self._constants.value(number, entry.offset), entry.content)
            for number, module in self._definitions.modules.items()
            for entry in module.data
        ]

    def _body(self, item: Item) -> bytes:
        code = [piece if isinstance(piece, bytes) else self._named(*piece) for piece in self._reached.code[item]]
        body = b"".join(code)
        return binary.unsigned(len(body)) + body

    def _named(self, how: Write, target: Target | bytes) -> bytes:
        if isinstance(target, bytes):
            number = self._type(target)
            return binary.unsigned(number) if how is Write.INDEX else binary.signed(number)
        if how is Write.TABLE_INDEX:
            first = self._tables[target]
            return i32_const(first) + bytes([I32_ADD]) if first else b""
        if how is Write.INDEX:
            return binary.unsigned(self._numbers[target])
        value = self._constants.of(target) if isinstance(target, Item) else None
        return i32_const(value) if value is not None else GLOBAL_GET + binary.unsigned(self._numbers[target])


def data_segment(offset: int, content: bytes) -> bytes:
    """Bytes for memory 0 from `offset` on."""
    return b"\0" + i32_const(offset) + bytes([END]) + binary.unsigned(len(content)) + content


def i32_const(value: int) -> bytes:
    """The instruction that pushes 32 bits."""
    return bytes([I32_CONST]) + binary.signed(value - (1 << 32) if value >> 31 else value)


def _order(item: Item) -> tuple[int, int]:
    return item.instance, item.index
