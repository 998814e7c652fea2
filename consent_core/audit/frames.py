"""How records lie in an audit file: frames one after the other, each bound to all before it.

    kind (1)  number (8)  count (4)  length (4)  crc32 of these (4)  body (length)  chain (32)
    chain = SHA-256(chain of the frame before ‖ kind ‖ number ‖ count ‖ length ‖ body)

`H` begins a segment (number = segment, count = 0, body = canonical JSON); `R` is a block of `count` records that were
sealed together (number = sequence of the first, body = ciphertext).
The CRC tells a length that can be believed from one that cannot; the chain is what protects.
Pure: bytes in, frames out.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any
from zlib import crc32

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object

FORMAT = "consent-edge/audit/v1"
MAX_BODY_BYTES = 1_048_576
GENESIS = bytes(32)

_HEAD = struct.Struct(">cQII")
_CRC = struct.Struct(">I")
_HEADER, _RECORD = b"H", b"R"
_pack_head, _sha256 = _HEAD.pack, hashlib.sha256


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as found: where it lies, what it says, and the chain value stored with it."""

    kind: bytes
    number: int
    count: int
    offset: int
    end: int
    body: bytes
    chain: bytes

    @property
    def last(self) -> int:
        """The sequence of the last record in a block."""
        return self.number + self.count - 1

    @property
    def is_header(self) -> bool:
        """Whether a segment begins here."""
        return self.kind == _HEADER

    def follows(self, before: bytes) -> bool:
        """Whether the stored chain value is right after `before`. The verifier says what a `False` means."""
        return self.chain == _pack(self.kind, self.number, self.count, self.body, before)[1]


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself. `first_seq`: of its first record. `commitment`: to its data key, 64 hex digits.

    `dropped`: bytes that the writer found unfinished (or `damaged`) behind the segment before, and set aside.
    `recovered`: records that a killed writer left in the journal and this segment begins with.
    """

    writer: str
    segment: int
    first_seq: int
    at: int
    commitment: str
    previous: bytes
    dropped: int = 0
    damaged: bool = False
    recovered: int = 0

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "writer": self.writer,
                "segment": self.segment,
                "first_seq": self.first_seq,
                "at": self.at,
                "commitment": self.commitment,
                "previous": self.previous.hex(),
                "dropped": self.dropped,
                "damaged": self.damaged,
                "recovered": self.recovered,
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> "Header":
        """Raises: Untrusted("audit-frame")."""
        value = read_json_object(body, MAX_BODY_BYTES)
        try:
            if value.pop("format") != FORMAT:
                raise Untrusted("audit-frame", f"expected {FORMAT}")
            return cls(**{**value, "previous": bytes.fromhex(value["previous"])})
        except (KeyError, TypeError, ValueError) as error:
            raise Untrusted("audit-frame", "a segment header of another form") from error


class UnfinishedFrame(Exception):  # the ordinary end after a crash, not an error
    """The file ends inside the frame that begins at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def pack_block(seq: int, count: int, sealed: bytes, before: bytes) -> tuple[bytes, bytes]:
    """The frame of `count` records from `seq` on, and the chain value after it."""
    return _pack(_RECORD, seq, count, sealed, before)


def pack_header(header: Header) -> tuple[bytes, bytes]:
    """A segment header's frame, and the chain value after it."""
    return _pack(_HEADER, header.segment, 0, header.to_bytes(), header.previous)


def read_frames(data: "bytes | mmap", offset: int = 0) -> Iterator[Frame]:
    """The frames from `offset` on. Raises: UnfinishedFrame, Untrusted("audit-frame")."""
    while offset < len(data):
        frame = _unpack(data, offset)
        yield frame
        offset = frame.end


def _pack(kind: bytes, number: int, count: int, body: bytes, before: bytes) -> tuple[bytes, bytes]:
    head = _pack_head(kind, number, count, len(body))
    chain = _sha256(before + head + body).digest()
    return head + crc32(head).to_bytes(4) + body + chain, chain


def _unpack(data: Any, offset: int) -> Frame:
    start = offset + _HEAD.size + _CRC.size
    if len(data) < start:
        raise UnfinishedFrame(offset)
    head = data[offset : offset + _HEAD.size]
    kind, number, count, length = _HEAD.unpack(head)
    (crc,) = _CRC.unpack(data[offset + _HEAD.size : start])
    known = (kind == _HEADER and count == 0) or (kind == _RECORD and count > 0)
    if crc != crc32(head) or not known or length > MAX_BODY_BYTES:
        raise Untrusted("audit-frame", f"no frame at byte {offset}")
    end = start + length + 32
    if len(data) < end:
        raise UnfinishedFrame(offset)
    body, chain = bytes(data[start : start + length]), bytes(data[start + length : end])
    return Frame(kind, number, count, offset, end, body, chain)
