"""Typed values to the C interface and back, compiled once per function type.

wasmtime-py's own conversion asks for the type of every value on every call and allocates each value in C. Here each
type becomes two small functions, made once: `lower` packs a Python value into an arena that the C call only borrows,
`lift` reads a result by its address. The result is freed once, as a whole, by `_ffi.ResultSlot.release`.

    converter = Converter(function_type, RECORDS)
    address = converter.pack(("home-hero", signals, candidates, 7))
    value = converter.read(slot)

Every type in `wit/` is supported: bool, integers, floats, string, list, record, enum, option, result. Records become
the class registered for their field names; lists become tuples, `list<u8>` bytes; results `Ok` or `Err`.
What a guest returned has been checked by wasmtime for form (enum cases, UTF-8, pointers);
`ResultLimits` bounds its size.
"""

import struct
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from wasmtime import component as wit
from wasmtime.component import FuncType, ValType

from consent_core.decision.contract import Err, Ok
from consent_core.errors import Unavailable
from runtime_host.wasm import _ffi

ARENA_BYTES = 64 * 1024  # a `decide` of ten candidates takes about 8 KiB
MAX_ARENA_BYTES = 4 * 1024 * 1024

Words = tuple[int, int]  # the two words of a value's union that any supported kind uses
Records = Mapping[tuple[str, ...], type]


class _ArenaFullError(Exception):
    """The arguments need a larger arena."""


@dataclass(frozen=True, slots=True)
class ResultLimits:
    """The largest result the host reads: values in all lists together, and bytes of one string."""

    items: int = 10_000
    string_bytes: int = 1024 * 1024


class Arena:
    """Memory that one call's arguments are packed into, from the start, call after call. Owned by one converter."""

    __slots__ = ("base", "memory", "top", "view")

    def __init__(self, size: int) -> None:
        self.memory = _ffi.Memory(size)
        self.base = self.memory.address
        self.view = self.memory.view
        self.top = 0

    def take(self, size: int) -> int:
        """Offset of `size` fresh bytes, aligned to 8."""
        at = self.top
        top = at + ((size + 7) & ~7)
        if top > self.memory.size:
            raise _ArenaFullError
        self.top = top
        return at

    def put(self, data: bytes) -> int:
        """Address of a copy of `data`. The hot path of packing, so `take` is written out."""
        at = self.top
        end = at + len(data)
        if end > self.memory.size:
            raise _ArenaFullError
        self.top = (end + 7) & ~7
        self.view[at:end] = data
        return self.base + at


@dataclass(frozen=True, slots=True)
class Plan:
    """How values of one WIT type cross: `kind` marks them in C, `lower` writes them, `lift` reads them."""

    kind: int
    lower: Callable[[Any, Arena], Words]
    lift: Callable[[int, int], Any]


class Converter:
    """The conversion of one function type. Not thread-safe: one call at a time, as its sandbox pool guarantees."""

    def __init__(self, function: FuncType, records: Records, limits: ResultLimits | None = None) -> None:
        compiler = _Compiler(records, limits or ResultLimits())
        result = function.result
        self.count = len(function.params)
        self.has_result = result is not None
        self._budget = compiler.budget
        self._parameters = tuple(compiler.plan(kind) for _, kind in function.params)
        self._result = None if result is None else compiler.plan(result)
        self._layout = _vals(self.count)
        self._arena = Arena(ARENA_BYTES)

    def pack(self, arguments: tuple[Any, ...]) -> int:
        """Address of the packed arguments, valid until the next `pack`.

        Raises: ValueError or TypeError when a value does not fit its WIT type.
        """
        if len(arguments) != self.count:
            raise TypeError(f"expected {self.count} arguments, got {len(arguments)}")
        while True:
            try:
                return self._pack(arguments)
            except _ArenaFullError:
                self._grow()

    def read(self, slot: _ffi.ResultSlot) -> Any:
        """The result as a Python value; the slot is released in every case. Raises: Unavailable("sandbox-rubbish")."""
        if self._result is None:
            return None
        try:
            self._budget.left = self._budget.limits.items
            return self._result.lift(*slot.words())
        finally:
            slot.release()

    def _pack(self, arguments: tuple[Any, ...]) -> int:
        arena = self._arena
        arena.top = 0
        at = arena.take(_ffi.VAL_BYTES * self.count)
        words: list[int] = []
        for plan, value in zip(self._parameters, arguments, strict=True):
            words += (plan.kind, *plan.lower(value, arena))
        self._layout.pack_into(arena.view, at, *words)
        return arena.base + at

    def _grow(self) -> None:
        size = self._arena.memory.size * 2
        if size > MAX_ARENA_BYTES:
            raise ValueError(f"arguments take more than {MAX_ARENA_BYTES} bytes")
        self._arena = Arena(size)


class _Budget:
    """How many list values may still be read of the current result."""

    __slots__ = ("left", "limits")

    def __init__(self, limits: ResultLimits) -> None:
        self.limits = limits
        self.left = 0

    def spend(self, items: int) -> None:
        self.left -= items
        if self.left < 0:
            raise Unavailable("sandbox-rubbish", f"a result of more than {self.limits.items} values")


class _Compiler:
    """Plans for the types of one function. Names that C code points at live as long as the plans."""

    def __init__(self, records: Records, limits: ResultLimits) -> None:
        self.budget = _Budget(limits)
        self._records = records
        self._string_bytes = limits.string_bytes

    def plan(self, kind: ValType) -> Plan:
        """The plan for a type. Raises: TypeError for a type this host does not use."""
        for supported, make in _MAKERS:
            if isinstance(kind, supported):
                return make(self, kind)
        raise TypeError(f"not supported at this boundary: {type(kind).__name__}")

    def bool(self, _: wit.Bool) -> Plan:
        return Plan(_ffi.BOOL, lambda value, _: (1 if value else 0, 0), lambda a, _: bool(a & 0xFF))

    def integer(self, kind: ValType) -> Plan:
        code, bits, signed = _INTEGERS[type(kind)]
        mask, sign = (1 << bits) - 1, 1 << (bits - 1)
        low, high = (-sign, sign - 1) if signed else (0, mask)

        def lower(value: int, _: Arena) -> Words:
            if not low <= value <= high:
                raise ValueError(f"expected {low} to {high}")
            return value & mask, 0

        def lift_signed(a: int, _: int) -> int:
            return ((a & mask) ^ sign) - sign

        return Plan(code, lower, lift_signed if signed else lambda a, _: a & mask)

    def float(self, kind: ValType) -> Plan:
        code, layout, width = (_ffi.F32, "<f", 4) if isinstance(kind, wit.F32) else (_ffi.F64, "<d", 8)
        codec = struct.Struct(layout)

        def lower(value: float, _: Arena) -> Words:
            return int.from_bytes(codec.pack(value), "little"), 0

        def lift(a: int, _: int) -> float:
            return codec.unpack(a.to_bytes(8, "little")[:width])[0]  # type: ignore[no-any-return]

        return Plan(code, lower, lift)

    def string(self, _: wit.String) -> Plan:
        most = self._string_bytes

        def lower(value: str, arena: Arena) -> Words:
            data = value.encode()
            return len(data), arena.put(data)

        def lift(size: int, address: int) -> str:
            if size > most:
                raise Unavailable("sandbox-rubbish", f"a string of {size} bytes")
            return _ffi.string_at(address, size).decode() if size else ""

        return Plan(_ffi.STRING, lower, lift)

    def list(self, kind: wit.ListType) -> Plan:
        element = kind.element
        return self._byte_list() if isinstance(element, wit.U8) else self._value_list(self.plan(element))

    def _byte_list(self) -> Plan:
        spend = self.budget.spend

        def lower(value: bytes, arena: Arena) -> Words:
            return len(value), arena.put(b"".join([_BYTES[byte] for byte in value]))

        def lift(size: int, address: int) -> bytes:
            spend(size)
            return _ffi.string_at(address, size * _ffi.VAL_BYTES)[_ffi.UNION_AT :: _ffi.VAL_BYTES] if size else b""

        return Plan(_ffi.LIST, lower, lift)

    def _value_list(self, element: Plan) -> Plan:
        kind, lower_one, lift_one, spend = element.kind, element.lower, element.lift, self.budget.spend

        def lower(values: tuple[Any, ...], arena: Arena) -> Words:
            size = len(values)
            at = arena.take(_ffi.VAL_BYTES * size)
            words: list[int] = []
            for value in values:
                words += (kind, *lower_one(value, arena))
            _vals(size).pack_into(arena.view, at, *words)
            return size, arena.base + at

        def lift(size: int, address: int) -> tuple[Any, ...]:
            spend(size)
            raw = _ffi.string_at(address, size * _ffi.VAL_BYTES) if size else b""
            return tuple([lift_one(a, b) for a, b in _VAL.iter_unpack(raw)])

        return Plan(_ffi.LIST, lower, lift)

    def record(self, kind: wit.RecordType) -> Plan:
        names = tuple(name for name, _ in kind.fields)
        plans = tuple(self.plan(field) for _, field in kind.fields)
        fields = tuple(name.replace("-", "_") for name in names)
        make = self._records.get(fields) or namedtuple("Record", fields, rename=True)
        return Plan(_ffi.RECORD, _lower_record(names, fields, plans), _lift_record(make, plans))

    def enum(self, kind: wit.EnumType) -> Plan:
        texts = _Texts(kind.names)
        cases = dict(zip(kind.names, texts.words, strict=True))
        most = max(map(len, cases))

        def lower(value: str, _: Arena, _texts: _Texts = texts) -> Words:  # keeps the addresses in `cases` alive
            try:
                return cases[value]
            except KeyError:
                raise ValueError(f"expected one of {', '.join(cases)}") from None

        def lift(size: int, address: int) -> str:
            return _ffi.string_at(address, min(size, most)).decode()

        return Plan(_ffi.ENUM, lower, lift)

    def option(self, kind: wit.OptionType) -> Plan:
        if isinstance(kind.payload, wit.OptionType):
            raise TypeError("an option of an option has no Python form")
        payload = self.plan(kind.payload)

        def lower(value: Any, arena: Arena) -> Words:
            return (0, 0) if value is None else (_boxed(payload, value, arena), 0)

        def lift(address: int, _: int) -> Any:
            return payload.lift(*_unboxed(address)) if address else None

        return Plan(_ffi.OPTION, lower, lift)

    def result(self, kind: wit.ResultType) -> Plan:
        good = None if kind.ok is None else self.plan(kind.ok)
        bad = None if kind.err is None else self.plan(kind.err)

        def lower(value: Ok[Any] | Err[Any], arena: Arena) -> Words:
            plan = good if isinstance(value, Ok) else bad
            return int(isinstance(value, Ok)), 0 if plan is None else _boxed(plan, value.value, arena)

        def lift(is_ok: int, address: int) -> Ok[Any] | Err[Any]:
            plan, make = (good, Ok) if is_ok & 0xFF else (bad, Err)
            return make(None if plan is None else plan.lift(*_unboxed(address)))

        return Plan(_ffi.RESULT, lower, lift)


class _Texts:
    """Names at fixed addresses, for as long as this object lives."""

    __slots__ = ("_memory", "words")

    def __init__(self, names: Any) -> None:
        data = [name.encode() for name in names]
        self._memory = _ffi.Memory(sum(map(len, data)) + 1)
        self.words: list[Words] = []
        at = 0
        for text in data:
            self._memory.view[at : at + len(text)] = text
            self.words.append((len(text), self._memory.address + at))
            at += len(text)


def _lower_record(
    names: tuple[str, ...], fields: tuple[str, ...], plans: tuple[Plan, ...]
) -> Callable[[Any, Arena], Words]:
    texts = _Texts(names)
    heads = [(*words, plan.kind) for words, plan in zip(texts.words, plans, strict=True)]
    steps = list(zip(heads, [plan.lower for plan in plans], strict=True))
    layout = struct.Struct("<" + "QQQQQ8x" * len(plans))
    size = len(plans)
    get = attrgetter(*fields) if size > 1 else lambda value: (getattr(value, fields[0]),)

    def lower(value: Any, arena: Arena, _texts: _Texts = texts) -> Words:
        at = arena.take(_ffi.ENTRY_BYTES * size)
        words: list[int] = []
        for (head, lower_one), field in zip(steps, get(value), strict=True):
            words += (*head, *lower_one(field, arena))
        layout.pack_into(arena.view, at, *words)
        return size, arena.base + at

    return lower


def _lift_record(make: Callable[..., Any], plans: tuple[Plan, ...]) -> Callable[[int, int], Any]:
    lifts = tuple(plan.lift for plan in plans)
    layout = struct.Struct("<" + "24xQQ8x" * len(plans))

    def lift(_: int, address: int) -> Any:
        words = layout.unpack(_ffi.string_at(address, layout.size))
        return make(*[one(a, b) for one, a, b in zip(lifts, words[0::2], words[1::2], strict=True)])

    return lift


def _boxed(plan: Plan, value: Any, arena: Arena) -> int:
    at = arena.take(_ffi.VAL_BYTES)
    _ONE.pack_into(arena.view, at, plan.kind, *plan.lower(value, arena))
    return arena.base + at


def _unboxed(address: int) -> Words:
    return _VAL.unpack(_ffi.string_at(address, _ffi.VAL_BYTES))


@lru_cache(256)  # list lengths come from requests
def _vals(size: int) -> struct.Struct:
    return struct.Struct("<" + "QQQ8x" * size)


_ONE = _vals(1)
_VAL = struct.Struct("<8xQQ8x")
_BYTES = tuple(_ONE.pack(_ffi.U8, byte, 0) for byte in range(256))
_INTEGERS: dict[type, tuple[int, int, bool]] = {
    wit.S8: (_ffi.S8, 8, True),
    wit.U8: (_ffi.U8, 8, False),
    wit.S16: (_ffi.S16, 16, True),
    wit.U16: (_ffi.U16, 16, False),
    wit.S32: (_ffi.S32, 32, True),
    wit.U32: (_ffi.U32, 32, False),
    wit.S64: (_ffi.S64, 64, True),
    wit.U64: (_ffi.U64, 64, False),
}
_MAKERS: tuple[tuple[Any, Callable[[_Compiler, Any], Plan]], ...] = (
    (tuple(_INTEGERS), _Compiler.integer),
    (wit.Bool, _Compiler.bool),
    ((wit.F32, wit.F64), _Compiler.float),
    (wit.String, _Compiler.string),
    (wit.ListType, _Compiler.list),
    (wit.RecordType, _Compiler.record),
    (wit.EnumType, _Compiler.enum),
    (wit.OptionType, _Compiler.option),
    (wit.ResultType, _Compiler.result),
)
