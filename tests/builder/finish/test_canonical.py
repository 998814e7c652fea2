"""The builder's own calls: WIT values as the canonical ABI lays them out, read back by an independent reader."""

import struct
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder import toolchain
from builder.finish.canonical import Signature, Type
from consent_core.errors import Rejected
from runtime_host.wasm.exports import DECIDE, VALIDATE, Export
from tests.conftest import ROOT

U8, U32, U64, TEXT = Type("u8"), Type("u32"), Type("u64"), Type("string")
ENUM = Type("enum", ("a", "b", "c"))
PAIR = Type("record", ("small", "large"), (U8, U64))
LAYOUTS = {
    "a number": (U64, 8, 8, 1),
    "an enum": (ENUM, 1, 1, 1),
    "a text": (TEXT, 8, 4, 2),
    "a record is padded": (PAIR, 16, 8, 2),
    "an option of a byte": (Type("option", (), (U8,)), 2, 1, 2),
    "an option is aligned": (Type("option", (), (PAIR,)), 24, 8, 3),
    "a list": (Type("list", (), (PAIR,)), 8, 4, 2),
}


class Memory:
    """A heap that only grows."""

    def __init__(self) -> None:
        self.bytes = bytearray(64)

    def allocate(self, size: int, alignment: int) -> int:
        at = -(-len(self.bytes) // alignment) * alignment
        self.bytes += bytes(at - len(self.bytes) + size)
        return at

    def store(self, address: int, data: bytes) -> None:
        assert address + len(data) <= len(self.bytes)
        self.bytes[address : address + len(data)] = data

    def read(self, kind: Type, at: int) -> Any:
        """A value as plain tuples, by the rules of CanonicalABI.md."""
        if kind.kind in ("string", "list"):
            start, count = struct.unpack_from("<II", self.bytes, at)
            if kind.kind == "string":
                return self.bytes[start : start + count].decode()
            return tuple(self.read(kind.inner[0], start + n * kind.inner[0].size) for n in range(count))
        if kind.kind == "option":
            return self.read(kind.inner[0], at + kind.alignment) if self.bytes[at] else None
        if kind.kind == "record":
            end, values = at, []
            for inner in kind.inner:
                end = -(-end // inner.alignment) * inner.alignment
                values.append(self.read(inner, end))
                end += inner.size
            return tuple(values)
        number = int.from_bytes(self.bytes[at : at + kind.size], "little")
        return kind.names[number] if kind.kind == "enum" else number


def signature(export: Export) -> Signature:
    return Signature.of(toolchain.wit_of(ROOT / "wit"), export.interface, export.function)


def plain(value: Any) -> Any:
    """Records as tuples of their fields, bytes as tuples of numbers."""
    if isinstance(value, bytes):
        return tuple(value)
    fields = getattr(value, "__dataclass_fields__", None)
    values = [getattr(value, name) for name in fields] if fields else value
    return tuple(plain(each) for each in values) if fields or isinstance(value, tuple) else value


@pytest.mark.parametrize(("kind", "size", "alignment", "flat"), LAYOUTS.values(), ids=LAYOUTS)
def test_sizes_are_those_of_the_abi(kind: Type, size: int, alignment: int, flat: int) -> None:
    """Size and alignment in memory, and how many core values a parameter takes."""
    assert (kind.size, kind.alignment, kind.flat) == (size, alignment, flat)


def test_every_public_decision_is_laid_out_whole() -> None:
    """More than sixteen core values: one address, at which all parameters lie."""
    found = signature(DECIDE)
    for request in DECIDE.public:
        memory = Memory()
        (address,) = found.lower(request, memory.allocate, memory.store)

        assert memory.read(found.parameters, address) == plain(request)


def test_every_public_validation_is_passed_flat() -> None:
    """Ten core values: text, list, and the fields of the record."""
    found = signature(VALIDATE)
    for token, keys, expected in VALIDATE.public:
        memory = Memory()
        text, length, start, count, *fields = found.lower((token, keys, expected), memory.allocate, memory.store)
        listed = Type("list", (), (found.parameters.inner[1].inner[0],))
        place = memory.allocate(8, 4)
        memory.store(place, struct.pack("<II", start, count))

        assert memory.bytes[text : text + length].decode() == token
        assert memory.read(listed, place) == plain(keys)
        assert fields[-2:] == [expected.now, expected.leeway]


Sample = namedtuple("Sample", "number kind texts maybe")
SAMPLE = Type(
    "record",
    Sample._fields,
    (U32, ENUM, Type("list", (), (TEXT,)), Type("option", (), (Type("list", (), (PAIR,)),))),
)
Pair = namedtuple("Pair", PAIR.names)
pairs = st.lists(st.builds(Pair, st.integers(0, 255), st.integers(0, 2**64 - 1)), max_size=4).map(tuple)


@given(
    st.lists(
        st.builds(
            Sample,
            st.integers(0, 2**32 - 1),
            st.sampled_from(ENUM.names),
            st.lists(st.text(max_size=6), max_size=3).map(tuple),
            st.none() | pairs,
        ),
        max_size=4,
    ).map(tuple)
)
def test_what_is_written_is_read_back(samples: tuple[Sample, ...]) -> None:
    """Nested records, lists, options, texts and enums of any value."""
    memory = Memory()
    listed = Type("list", (), (SAMPLE,))
    start, count = Signature(Type("record", ("all",), (listed,))).lower((samples,), memory.allocate, memory.store)
    place = memory.allocate(8, 4)
    memory.store(place, struct.pack("<II", start, count))

    assert memory.read(listed, place) == plain(samples)


@pytest.mark.parametrize("kind", [{"variant": {}}, {"result": {}}, {"flags": {}}, {"handle": {}}])
def test_a_type_that_no_public_request_has_is_refused(kind: dict[str, Any]) -> None:
    """The image step is then left out."""
    resolved = {
        "interfaces": [{"name": "x", "functions": {"f": {"params": [{"name": "p", "type": 0}]}}}],
        "types": [{"kind": kind}],
    }
    with pytest.raises(Rejected, match="a parameter of type"):
        Signature.of(resolved, "a:b/x@1.0.0", "f")


def test_a_function_that_is_not_there_is_refused() -> None:
    """Nothing is called by guess."""
    with pytest.raises(Rejected, match=r"expected one consent\.nothing"):
        Signature.of(toolchain.wit_of(ROOT / "wit"), VALIDATE.interface, "nothing")
