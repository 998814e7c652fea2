"""Where a function body names functions, globals, tables and types: everything else in it is copied as it is.

    for piece in pieces(body):    # bytes, Reference(opcode, space, number) or IndirectCall(opcode, type, table)

One regular expression swallows runs of instructions without such a name, so that six megabytes take a second.
Source: WebAssembly core specification, section 5.4; wide arithmetic (`0xfc 0x13` to `0x16`) by its proposal.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

from builder.finish.binary import Reader, refuse


class Space(Enum):
    """Index spaces that a body names alone; tables are named by indirect calls only."""

    FUNCTION = 0
    GLOBAL = 1
    TYPE = 2


class Reference(NamedTuple):
    """An instruction with one index: of a function, of a global, or, as a signed number, of a block's type."""

    opcode: bytes
    space: Space
    number: int


class IndirectCall(NamedTuple):
    """A call through a table, whose index is on the stack."""

    opcode: bytes
    type: int
    table: int


Piece: TypeAlias = bytes | Reference | IndirectCall


GLOBAL_GET, GLOBAL_SET = b"\x23", b"\x24"
_NUMBER = rb"[\x80-\xff]*+[\x00-\x7f]"
_VALUE_TYPE = rb"[\x40\x6f\x70\x7b-\x7f]"
_PLAIN = re.compile(
    rb"(?:"
    rb"[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]"  # no operand
    rb"|[\x0c\x0d\x20-\x22\x3f-\x42\xd0]" + _NUMBER +  # one number
    rb"|[\x28-\x3e]" + _NUMBER + _NUMBER +  # alignment and offset
    rb"|[\x02-\x04]" + _VALUE_TYPE +
    rb"|\x43.{4}|\x44.{8}"
    rb"|\xfc[\x00-\x07\x13-\x16]"
    rb"|\xfc\x0a\x00\x00|\xfc\x0b\x00"  # memory.copy, memory.fill
    rb")*+",
    re.DOTALL,
)  # fmt: skip

_NAMING = {
    b"\x10": Space.FUNCTION,
    b"\x12": Space.FUNCTION,
    b"\xd2": Space.FUNCTION,
    GLOBAL_GET: Space.GLOBAL,
    GLOBAL_SET: Space.GLOBAL,
}
_INDIRECT = (b"\x11", b"\x13")
_BLOCKS = (b"\x02", b"\x03", b"\x04")
_BR_TABLE = b"\x0e"


def pieces(body: bytes) -> Iterator[Piece]:
    """A function body (locals and instructions) in order. Raises: Rejected("build-step") for an unknown instruction."""
    reader = Reader(body)
    for _ in range(reader.unsigned()):
        reader.unsigned(), reader.byte()
    yield body[: reader.at]
    while not reader.ended:
        found = _PLAIN.match(body, reader.at)
        end = found.end() if found else reader.at
        if end > reader.at:
            yield body[reader.at : end]
            reader.at = end
        else:
            yield _naming(reader)


def _naming(reader: Reader) -> Piece:
    opcode = reader.take(1)
    if opcode in _NAMING:
        return Reference(opcode, _NAMING[opcode], reader.unsigned())
    if opcode in _INDIRECT:
        return IndirectCall(opcode, reader.unsigned(), reader.unsigned())
    if opcode in _BLOCKS:
        return Reference(opcode, Space.TYPE, reader.signed())
    if opcode == _BR_TABLE:
        return _br_table(reader)
    raise refuse(f"an instruction {reader.data[reader.at - 1 : reader.at + 1].hex()}")


def _br_table(reader: Reader) -> bytes:
    start = reader.at
    for _ in range(reader.unsigned() + 1):
        reader.unsigned()
    return _BR_TABLE + reader.since(start)
