"""The canonical ABI of one exported function, as far as the builder itself calls it: arguments into a core instance.

    signature = Signature.of(toolchain.wit_of(component), "consent-edge:functions/personalization@0.1.0", "decide")
    core_arguments = signature.lower(arguments, allocate, write)

Values are those of `consent_core.decision.contract`: records by attribute, enums by name, lists as tuples.
Source: Component Model, `design/mvp/CanonicalABI.md`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.finish.binary import refuse

MAX_FLAT = 16  # core parameters; beyond it one address of all
NUMBERS = {"bool": 1, "u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "u64": 8, "s64": 8}
BYTES = "u8"

Allocate = Callable[[int, int], int]  # (size, alignment) -> address
Store = Callable[[int, bytes], None]  # (address, bytes)


@dataclass(frozen=True, slots=True)
class Type:
    """A WIT type: `kind` a number's name, `string`, `enum`, `list`, `option` or `record`."""

    kind: str
    names: tuple[str, ...] = ()
    inner: tuple["Type", ...] = ()

    @property
    def alignment(self) -> int:
        """In bytes."""
        if self.kind in ("string", "list"):
            return 4
        return NUMBERS[self.kind] if self.kind in NUMBERS else max([1, *(each.alignment for each in self.inner)])

    @property
    def size(self) -> int:
        """In bytes, as an element of a list."""
        if self.kind in ("string", "list"):
            return 8
        return NUMBERS.get(self.kind) or self._composed()

    @property
    def flat(self) -> int:
        """How many core values it is as a parameter."""
        if self.kind in ("string", "list"):
            return 2
        inner = sum(each.flat for each in self.inner)
        return inner + 1 if self.kind == "option" else inner or 1

    def _composed(self) -> int:
        if self.kind == "enum":
            return 1
        end = 1 if self.kind == "option" else 0
        for each in self.inner:
            end = _aligned(end, each.alignment) + each.size
        return _aligned(end, self.alignment)

    def offsets(self) -> Iterator[int]:
        """Where each inner value of a record or option begins."""
        at = 1 if self.kind == "option" else 0
        for each in self.inner:
            at = _aligned(at, each.alignment)
            yield at
            at += each.size


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of one function."""

    parameters: Type

    @classmethod
    def of(cls, resolved: Mapping[str, Any], interface: str, function: str) -> "Signature":
        """From the WIT that `wasm-tools` prints as JSON. Raises: Rejected("build-step")."""
        name = interface.split("/")[1].split("@")[0]
        found = [entry["functions"][function] for entry in resolved["interfaces"]
                 if entry["name"] == name and function in entry["functions"]]  # fmt: skip
        if len(found) != 1:
            raise refuse(f"expected one {name}.{function}")
        parameters = [(entry["name"], _type(resolved, entry["type"])) for entry in found[0]["params"]]
        names, types = zip(*parameters, strict=True)
        return cls(Type("record", names, types))

    def lower(self, values: Sequence[Any], allocate: Allocate, store: Store) -> list[int]:
        """The core arguments of a call with these values."""
        kind, lowering = self.parameters, _Lowering(allocate, store)
        if kind.flat <= MAX_FLAT:
            return [number for each, value in zip(kind.inner, values, strict=True)
                    for number in lowering.flat(each, value)]  # fmt: skip
        address = allocate(kind.size, kind.alignment)
        for each, value, offset in zip(kind.inner, values, kind.offsets(), strict=True):
            lowering.store(each, value, address + offset)
        return [address]


class _Lowering:
    """Writes values into the memory of a core instance."""

    def __init__(self, allocate: Allocate, store: Store) -> None:
        self._allocate = allocate
        self._write = store

    def flat(self, kind: Type, value: Any) -> list[int]:
        """A value as core parameters."""
        if kind.kind == "option":
            return [0] * kind.flat if value is None else [1, *self.flat(kind.inner[0], value)]
        if kind.kind == "record":
            return [number for each, field in _fields(kind, value) for number in self.flat(each, field)]
        if kind.kind in ("string", "list"):
            return list(self._sequence(kind, value))
        return [_number(kind, value)]

    def store(self, kind: Type, value: Any, address: int) -> None:
        """A value at an address."""
        if kind.kind == "option":
            self._write(address, bytes([value is not None]))
            if value is not None:
                self.store(kind.inner[0], value, address + next(kind.offsets()))
        elif kind.kind == "record":
            for (each, field), offset in zip(_fields(kind, value), kind.offsets(), strict=True):
                self.store(each, field, address + offset)
        elif kind.kind in ("string", "list"):
            self._write(address, b"".join(number.to_bytes(4, "little") for number in self._sequence(kind, value)))
        else:
            self._write(address, _number(kind, value).to_bytes(kind.size, "little"))

    def _sequence(self, kind: Type, value: Any) -> tuple[int, int]:
        """Address and length of a text or list."""
        if kind.kind == "string" or kind.inner[0].kind == BYTES:
            data = value.encode() if isinstance(value, str) else bytes(value)
            return self._bytes(data), len(data)
        element = kind.inner[0]
        address = self._allocate(element.size * len(value), element.alignment) if value else element.alignment
        for index, each in enumerate(value):
            self.store(element, each, address + index * element.size)
        return address, len(value)

    def _bytes(self, data: bytes) -> int:
        if not data:
            return 1
        address = self._allocate(len(data), 1)
        self._write(address, data)
        return address


def _type(resolved: Mapping[str, Any], entry: Any) -> Type:
    if isinstance(entry, str):
        if entry != "string" and entry not in NUMBERS:
            raise refuse(f"a parameter of type {entry}")
        return Type(entry)
    kind = resolved["types"][entry]["kind"]
    if "type" in kind:
        return _type(resolved, kind["type"])
    if "record" in kind:
        fields = kind["record"]["fields"]
        return Type("record", _names(fields), tuple(_type(resolved, field["type"]) for field in fields))
    if "enum" in kind and len(kind["enum"]["cases"]) < 256:
        return Type("enum", _names(kind["enum"]["cases"]))
    for composed in ("list", "option"):
        if composed in kind:
            return Type(composed, (), (_type(resolved, kind[composed]),))
    raise refuse(f"a parameter of type {', '.join(kind)}")


def _names(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(entry["name"]) for entry in entries)


def _fields(kind: Type, value: Any) -> Iterator[tuple[Type, Any]]:
    for name, each in zip(kind.names, kind.inner, strict=True):
        yield each, getattr(value, name.replace("-", "_"))


def _number(kind: Type, value: Any) -> int:
    return kind.names.index(value) if kind.kind == "enum" else int(value)


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment
