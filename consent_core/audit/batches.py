"""Records that share texts: as they wait in the journal, and as a block of them is sealed.

Most records repeat what others said: the same kind of request, the same visitor. A batch holds each text once, and a
record is a word that names its texts by number:

    block = base time (8)  how many texts (4)  texts  words (8 each)                            big-endian
    text  = number (4)  length (4)  text
    word  = seconds since base (20 bits)  fields text (22 bits)  person text (22 bits)          0: no text

The record of a word is `{"at":<base + seconds>,<fields text><person text>}`, in UTF-8. Pure: bytes in, records out.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consent_core.errors import Untrusted

TEXT_BITS = 22
TEXT_MASK = (1 << TEXT_BITS) - 1
TIME_SHIFT = 2 * TEXT_BITS
TIME_LIMIT = 1 << 64 - TIME_SHIFT  # seconds: twelve days
MAX_BLOCK_RECORDS = 512
MAX_BLOCK_BYTES = 1_000_000

_START = struct.Struct(">QI")
_TEXT = struct.Struct(">II")

Texts = Sequence[bytes] | Mapping[int, bytes]  # by number; 0 is none


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records, the first of them number `first`. `base`: Unix seconds. `texts`: at least those named."""

    first: int
    base: int
    words: Sequence[int]
    texts: Texts

    def __len__(self) -> int:
        return len(self.words)

    def records(self) -> Iterator[bytes]:
        """The records, in order."""
        for word in self.words:
            fields, person = self.texts[word >> TEXT_BITS & TEXT_MASK], self.texts[word & TEXT_MASK]
            yield b'{"at":%d,%b%b}' % (self.base + (word >> TIME_SHIFT), fields, person)

    def after(self, seq: int) -> "Batch":
        """The records behind number `seq`."""
        return self if seq < self.first else self._part(seq + 1 - self.first, len(self))

    def blocks(self) -> Iterator[tuple["Batch", bytes]]:
        """The same records in parts that may be sealed, each with its bytes."""
        for begin in range(0, len(self), MAX_BLOCK_RECORDS):
            yield from self._part(begin, begin + MAX_BLOCK_RECORDS)._halves()

    def to_bytes(self) -> bytes:
        """The block, before it is sealed, with the texts that are named."""
        words = set(self.words)
        named = {word >> TEXT_BITS & TEXT_MASK for word in words} | {word & TEXT_MASK for word in words}
        numbers = sorted(named - {0})
        texts = b"".join([_TEXT.pack(number, len(self.texts[number])) + self.texts[number] for number in numbers])
        return _START.pack(self.base, len(numbers)) + texts + struct.pack(f">{len(self)}Q", *self.words)

    @classmethod
    def from_bytes(cls, first: int, count: int, data: bytes) -> "Batch":
        """A block of `count` records. Raises: Untrusted("audit-record")."""
        try:
            base, many = _START.unpack_from(data)
            texts, offset = {0: b""}, _START.size
            for _ in range(many):
                number, length = _TEXT.unpack_from(data, offset)
                offset += _TEXT.size + length
                texts[number] = data[offset - length : offset]
            words = struct.unpack(f">{count}Q", data[offset:])
        except struct.error as error:
            raise Untrusted("audit-record", f"not a block of {count} records") from error
        if len(texts) != many + 1 or not all(is_whole(word, texts) for word in words):
            raise Untrusted("audit-record", "a record names a text that is not there")
        return cls(first, base, words, texts)

    def _part(self, begin: int, end: int) -> "Batch":
        return Batch(self.first + begin, self.base, self.words[begin:end], self.texts)

    def _halves(self) -> Iterator[tuple["Batch", bytes]]:
        block = self.to_bytes()
        if len(block) <= MAX_BLOCK_BYTES or len(self) == 1:
            yield self, block
        else:
            middle = len(self) // 2
            yield from self._part(0, middle)._halves()
            yield from self._part(middle, len(self))._halves()


def is_whole(word: int, texts: Mapping[int, bytes]) -> bool:
    """Whether a word names fields and, if anything more, a person: a word of another form is no record."""
    fields, person = texts.get(word >> TEXT_BITS & TEXT_MASK, b""), texts.get(word & TEXT_MASK)
    return fields.startswith(b'"') and person is not None and (not person or person.startswith(b","))
