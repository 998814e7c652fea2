"""Records on their way into the trail: in the kernel when `add` returns, sealed in blocks a moment later.

A file of fixed size, mapped into memory, so that adding is a copy and `kill -9` loses nothing. Its records name nobody
in clear: what does is sealed under the visitor's key already.
Trust in this store: file permissions alone, for as long as a record waits (50 ms, or until the start after a crash).
What a start seals from here it says in its segment header.

    length (4)  crc32 of sequence and body (4)  sequence (8)  body
"""

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from consent_core.errors import Unavailable
from consent_core.trust.files import PRIVATE

NAME = "journal"
MAX_RECORD_BYTES = 65_536

_HEAD = struct.Struct(">IIQ")
_START = _HEAD.size
_pack = _HEAD.pack


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a journal file holds, as found. `unfinished`: bytes of a record whose writer was killed while adding it."""

    records: tuple[tuple[int, bytes], ...]
    unfinished: int = 0

    def after(self, seq: int) -> Iterator[tuple[int, bytes]]:
        """Number and body of each record behind `seq`."""
        return ((number, body) for number, body in self.records if number > seq)


class Journal:
    """The journal of a directory, for its one writer. Not for several threads at once: the writer's lock guards it."""

    def __init__(self, directory: Path, size: int) -> None:
        self._size, self._end, self._last = size, 0, 0
        try:
            file = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            try:
                os.posix_fallocate(file, 0, size)  # a full disk is noticed here, not in the middle of a copy
                self._map = mmap.mmap(file, size)
            finally:
                os.close(file)
        except OSError as error:
            raise Unavailable("audit-unwritable", f"the journal: {error.strerror}") from error

    def add(self, seq: int, body: bytes) -> bool:
        """Put one record into the kernel; False if there is no room before the next `clear`.

        Raises: ValueError for a record that nobody could read back.
        """
        if len(body) > MAX_RECORD_BYTES:
            raise ValueError(f"a record of {len(body)} bytes")
        begin = self._end
        end = begin + _START + len(body)
        if end > self._size:
            return False
        self._map[begin:end] = _pack(len(body), crc32(body, seq & 0xFFFFFFFF), seq) + body
        self._last, self._end = begin, end
        return True

    def take_back(self) -> None:
        """Forget the record added last."""
        self._map[self._last : self._last + 4] = bytes(4)
        self._end = self._last

    def clear(self) -> None:
        """Forget everything: it is in the trail."""
        self._map[0:4] = bytes(4)
        self._end = 0

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()


def read_journal(directory: Path) -> Waiting:
    """What waits in a directory; nothing if there is no journal.

    Numbers are consecutive: behind the last record lies what was added and sealed before.
    """
    path = directory / NAME
    if not path.exists():
        return Waiting(())
    data, offset, records = path.read_bytes(), 0, list[tuple[int, bytes]]()
    while offset + _START <= len(data):
        length, checksum, seq = _HEAD.unpack_from(data, offset)
        end = offset + _START + length
        if not 0 < length <= MAX_RECORD_BYTES or end > len(data) or (records and seq != records[-1][0] + 1):
            break
        body = data[offset + _START : end]
        if checksum != _checksum(seq, body):
            return Waiting(tuple(records), length)
        records.append((seq, body))
        offset = end
    return Waiting(tuple(records))


def _checksum(seq: int, body: bytes) -> int:
    return crc32(body, seq & 0xFFFFFFFF)
