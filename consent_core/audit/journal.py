"""Records on their way into the trail: in the kernel when `add` returns, sealed in blocks a moment later.

A file of fixed size, mapped into memory, so that adding is a store and `kill -9` loses nothing. Most records repeat
what others said, so each text is written once, and a record is one aligned word that names its texts: a store that is
done or not done, also if the process is killed in between. One side takes words while the other is sealed; texts stay
until they fill their part. The file holds no person in clear: a person's fields are sealed under that visitor's key
before they are stored. Trust in this store: file permissions alone, for as long as a record waits (50 ms, or until the
start after a crash). What a start seals from here it says in its segment header.

    file = magic (8)  era (8)  texts written (8)  side  side  texts                 era 0: being emptied
    side = first sequence (8)  base time (8)  words (8 each, as in `batches`)       first 0: empty; 1/16 of the file
    text = length (4)  crc32 of era and text (4)  text                              numbered from 1, in order

Integers are the machine's own: the file is read where it was written.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from zlib import crc32

from consent_core.audit.batches import TEXT_BITS, TEXT_MASK, TIME_LIMIT, TIME_SHIFT, Batch, is_whole
from consent_core.crash import crash_point
from consent_core.errors import Unavailable
from consent_core.trust.files import PRIVATE

NAME = "journal"
MAX_RECORD_BYTES = 65_536

_MAGIC = b"audit-j2"
_HEAD = struct.Struct("=8sQQ")
_TEXT = struct.Struct("=II")  # length, checksum
_MAX_BYTES = 64 * 2**20  # a text takes at least 9: its number fits a word
_SIDE_HEAD = 2  # words before the records'
_NOT_BEGUN = 1 << 62  # a base that no time fits: the first record begins its side
_MIN_BYTES = 256


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a journal file holds, as found. `unfinished`: bytes of a record whose writer was killed while adding it."""

    batches: tuple[Batch, ...] = ()
    unfinished: int = 0

    def after(self, seq: int) -> list[Batch]:
        """What lies behind record `seq`."""
        return [later for batch in self.batches if (later := batch.after(seq))]


class Side:
    """One of the two that take records in turns. `end`: the place of its next word."""

    __slots__ = ("base", "end", "words")

    def __init__(self, words: memoryview) -> None:
        self.words = words
        self.base, self.end = _NOT_BEGUN, _SIDE_HEAD

    def __len__(self) -> int:
        return self.end - _SIDE_HEAD

    def begin(self, seq: int, at: int) -> None:
        """Before the first record: its sequence, and the middle of the times that words can hold."""
        self.base = max(at - TIME_LIMIT // 2, 0)
        self.words[1] = self.base
        self.words[0] = seq

    def batch(self, texts: list[bytes]) -> Batch:
        """The records here."""
        return Batch(self.words[0], self.base, self.words[_SIDE_HEAD : self.end].tolist(), texts)

    def clear(self) -> None:
        """Forget everything: it is in the trail."""
        self.words[0] = 0
        self.words[1 : self.end] = memoryview(bytes(8 * (self.end - 1))).cast("Q")
        self.base, self.end = _NOT_BEGUN, _SIDE_HEAD

    def take_back(self) -> None:
        """Forget the record added last."""
        self.end -= 1
        self.words[self.end] = 0
        if not self:
            self.clear()


class Journal:
    """The journal of a directory, for its one writer. Begins empty.

    `add`, `turn` and `take_back` are not for several threads at once: the writer's lock guards them. A side that
    `turn` has handed out belongs to the thread that seals it until that thread clears it.
    """

    def __init__(self, directory: Path, size: int) -> None:
        """`size`: bytes, 256 to 64 Mi. Raises: Unavailable("audit-unwritable")."""
        if not _MIN_BYTES <= size <= _MAX_BYTES:
            raise ValueError(f"a journal of {size} bytes")
        try:
            file = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
            try:
                os.posix_fallocate(file, 0, size)  # a full disk is noticed here, not in the middle of a copy
                self._map = mmap.mmap(file, size)
            finally:
                os.close(file)
        except OSError as error:
            raise Unavailable("audit-unwritable", f"the journal: {error.strerror}") from error
        first, second, texts = _borders(size)
        with memoryview(self._map) as memory:
            self._head = memory[: _HEAD.size].cast("Q")
            self._taking, self._resting = Side(memory[first:second].cast("Q")), Side(memory[second:texts].cast("Q"))
            self._texts = memory[texts:]
        self._map[: len(_MAGIC)] = _MAGIC
        self._era, self._end = 0, 0
        self._begin_era()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sealed."""
        return not self._taking and not self._resting

    def add(self, seq: int, at: int, fields: bytes, person: bytes) -> bool:
        """Put one record into the kernel; False if there is no room before more is sealed.

        Sequences are consecutive. `at`: Unix seconds. Raises: ValueError for a record that a reader would refuse.
        """
        side, numbers = self._taking, self._numbers
        try:  # most texts are known, and a wrong one is an error here
            texts = numbers[fields] << TEXT_BITS | numbers[person]
            side.words[side.end] = at - side.base << TIME_SHIFT | texts
        except (KeyError, IndexError, ValueError):
            return self._add_new(seq, at, fields, person)
        side.end += 1
        return True

    def turn(self) -> Side:
        """The side whose records are to be sealed next; it takes none until it is clear."""
        if not self._resting:
            self._taking, self._resting = self._resting, self._taking
        return self._resting

    def batch(self, side: Side) -> Batch:
        """The records of a side that `turn` has handed out."""
        return side.batch(self._held)

    def take_back(self) -> None:
        """Forget the record added last, which failed to be sealed."""
        self._resting.take_back()

    def close(self) -> None:
        """Let go of the file."""
        for view in (self._head, self._taking.words, self._resting.words, self._texts):
            view.release()
        self._map.close()

    def _add_new(self, seq: int, at: int, fields: bytes, person: bytes) -> bool:
        """Add the record that begins a side, or brings a new text; or refuse one."""
        if len(fields) + len(person) > MAX_RECORD_BYTES:
            raise ValueError(f"a record of {len(fields) + len(person)} bytes")
        side = self._taking
        if side.end >= len(side.words) or (side and not 0 <= at - side.base < TIME_LIMIT):
            return False
        if not self._make_room(fields, person):
            return False
        for text in (fields, person):
            if text not in self._numbers:
                self._write(text)
        if not side:
            side.begin(seq, at)
        texts = self._numbers[fields] << TEXT_BITS | self._numbers[person]
        side.words[side.end] = at - side.base << TIME_SHIFT | texts
        side.end += 1
        self._head[2] = len(self._held)
        crash_point("audit-journaled")
        return True

    def _make_room(self, *texts: bytes) -> bool:
        """Whether these can be written now. When none that are here wait to be sealed, all may go for it."""
        if self._end + self._length(texts) <= len(self._texts):
            return True
        if self.is_empty and self._end:
            self._begin_era()
            return self._length(texts) <= len(self._texts)
        return False

    def _length(self, texts: tuple[bytes, ...]) -> int:
        return sum(_TEXT.size + len(text) for text in texts if text not in self._numbers)

    def _write(self, text: bytes) -> None:
        begin, self._end = self._end, self._end + _TEXT.size + len(text)
        self._texts[begin : self._end] = _TEXT.pack(len(text), _checksum(text, self._era)) + text
        self._numbers[text] = len(self._held)
        self._held.append(text)

    def _begin_era(self) -> None:
        """Begin without texts. Both sides are empty."""
        self._head[1] = 0
        self._texts[: self._end] = bytes(self._end)
        self._head[2] = 1
        self._era += 1
        self._head[1] = self._era
        self._held, self._numbers, self._end = [b""], {b"": 0}, 0


def read_journal(directory: Path) -> Waiting:
    """What waits in a directory; nothing if there is no journal, or none that was begun.

    Raises: Unavailable("audit-unwritable") for one of another form.
    """
    path = directory / NAME
    data = path.read_bytes() if path.exists() else b""
    if not any(data[:4]):
        return Waiting()
    if data[: len(_MAGIC)] != _MAGIC or len(data) < _MIN_BYTES:
        raise Unavailable("audit-unwritable", "the journal has another form: start the version that wrote it once")
    _, era, written = _HEAD.unpack_from(data)
    if era == 0:
        return Waiting()
    first, second, end = _borders(len(data))
    texts, left = _read_texts(data[end:], era)
    sides = (_read_side(data[first:second], texts), _read_side(data[second:end], texts))
    batches = sorted((batch for batch, _ in sides if batch), key=lambda batch: batch.first)
    lost = sum(lost for _, lost in sides)
    if len(batches) == 2 and batches[0].first + len(batches[0]) != batches[1].first:
        lost += len(batches.pop())  # of the older side not all could be read: these have lost their place
    named = (max(word >> TEXT_BITS & TEXT_MASK, word & TEXT_MASK) for batch in batches for word in batch.words)
    written = max(written, 1 + max(named, default=0))
    return Waiting(tuple(batches), left + 8 * lost + sum(len(texts[number]) for number in range(written, len(texts))))


def found_journal(directory: Path) -> tuple[Waiting, Unavailable | None]:
    """What waits in a directory, or why that cannot be read: for readers, who go on with what is sealed."""
    try:
        return read_journal(directory), None
    except Unavailable as error:
        return Waiting(), error
    except OSError as error:
        return Waiting(), Unavailable("audit-unwritable", f"the journal cannot be read: {error.strerror}")


def _read_texts(data: bytes, era: int) -> tuple[dict[int, bytes], int]:
    """The texts by number, and how many bytes follow that are not a whole one."""
    texts, offset = {0: b""}, 0
    while offset + _TEXT.size <= len(data):
        length, checksum = _TEXT.unpack_from(data, offset)
        text = data[offset + _TEXT.size : offset + _TEXT.size + length]
        if not 0 < length <= MAX_RECORD_BYTES or len(text) != length or checksum != _checksum(text, era):
            break
        texts[len(texts)] = text
        offset += _TEXT.size + length
    return texts, len(data[offset:].rstrip(b"\0"))


def _read_side(data: bytes, texts: dict[int, bytes]) -> tuple[Batch, int]:
    """The records of a side, and how many there are that cannot be read."""
    first, base, *words = memoryview(data).cast("Q").tolist()
    stored = list(takewhile(bool, words)) if first else []
    whole = list(takewhile(lambda word: is_whole(word, texts), stored))
    return Batch(first, base, whole, texts), len(stored) - len(whole)


def _borders(size: int) -> tuple[int, int, int]:
    """Where the two sides and the texts begin in a file of `size` bytes."""
    side = size // 128 * 8
    return _HEAD.size, _HEAD.size + side, _HEAD.size + 2 * side


def _checksum(text: bytes, era: int) -> int:
    """Also says which era a text belongs to."""
    return crc32(text, era & 0xFFFFFFFF)
