"""Numbers, names and sections of the WebAssembly binary format, of core modules and components alike.

Source: WebAssembly core specification, section 5 (binary format); Component Model, `design/mvp/Binary.md`.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from consent_core.errors import Rejected

T = TypeVar("T")

CORE_MODULE = b"\0asm\x01\0\0\0"
COMPONENT = b"\0asm\x0d\0\x01\0"


def refuse(message: str) -> Rejected:
    """What a step raises when it meets something it was not written for: the build goes on without the step."""
    return Rejected("build-step", message)


class Reader:
    """A place in some bytes, moving forward. Raises: Rejected("build-step") at the end of the bytes."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def ended(self) -> bool:
        """Whether every byte was read."""
        return self.at >= len(self.data)

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self.at += count
        if self.at > len(self.data):
            raise refuse("the binary ends in the middle of something")
        return self.data[self.at - count : self.at]

    def unsigned(self) -> int:
        """An unsigned LEB128 number."""
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def signed(self) -> int:
        """A signed LEB128 number."""
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def name(self) -> str:
        """A length and that many bytes of UTF-8."""
        return self.take(self.unsigned()).decode("utf-8")

    def vector(self, item: Callable[["Reader"], T]) -> tuple[T, ...]:
        """A count and that many items."""
        return tuple(item(self) for _ in range(self.unsigned()))

    def since(self, start: int) -> bytes:
        """The bytes from `start` to here."""
        return self.data[start : self.at]


def unsigned(value: int) -> bytes:
    """Unsigned LEB128, as short as it can be."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """Signed LEB128, as short as it can be."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def name(text: str) -> bytes:
    """A length and the text's bytes."""
    data = text.encode("utf-8")
    return unsigned(len(data)) + data


def vector(items: list[bytes]) -> bytes:
    """A count and the items."""
    return unsigned(len(items)) + b"".join(items)


def section(kind: int, body: bytes) -> bytes:
    """A section with its length."""
    return bytes([kind]) + unsigned(len(body)) + body


def sections(data: bytes, header: bytes) -> Iterator[tuple[int, bytes]]:
    """Id and body of each section. Raises: Rejected("build-step") when the file begins otherwise."""
    if data[: len(header)] != header:
        raise refuse("not the kind of WebAssembly file that was expected")
    reader = Reader(data, len(header))
    while not reader.ended:
        kind = reader.byte()
        yield kind, reader.take(reader.unsigned())
