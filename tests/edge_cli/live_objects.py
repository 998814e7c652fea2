"""Which objects of another Python process still hold a text: its memory, read from outside.

    live_texts(pid, [b"p7JxS0m3BqRk2v1T9aYcZg"])      # nothing, once no object has it any more

CPython and glibc write over the head of what they free (a count of references, a type), and over nothing behind it.
So a text is *live* where a `bytes` or `str` with a sound head encloses it; the rest is freed memory that was not
written over yet, or a buffer of C.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

PAGE = 4_096
STEP = 4_096 * PAGE  # pages are looked up by so many: most of a sandbox's reserve was never touched
HEAD = struct.Struct("<qQq")  # references, type, length
BEFORE = 128 * 1_024  # how far before a text its object may begin
MOST_REFERENCES = 1 << 20
HEADS = 64  # more than what stands before the characters of a `str`
PRESENT = b"\x80\x81\xc0\xc1"  # the top byte of a page's entry: bit 63, whatever else is set beside it


def live_texts(pid: int, texts: Sequence[bytes]) -> set[bytes]:
    """Those of the texts that an object of this process holds."""
    types = _types_in(pid)
    return {
        text
        for piece in _memory(pid)
        for text in texts
        for at in _all(piece, text)
        if _is_enclosed(piece, at, len(text), types)
    }


def _is_enclosed(piece: bytes, at: int, size: int, types: frozenset[int]) -> bool:
    """Whether an object begins before this place and ends behind it."""
    for start in range(at - at % 8 - HEAD.size, max(-1, at - BEFORE), -8):
        references, kind, length = HEAD.unpack_from(piece, start)
        if kind in types and 0 < references < MOST_REFERENCES and start + length + HEADS >= at + size:
            return True
    return False


def _all(data: bytes, text: bytes) -> Iterator[int]:
    at = data.find(text)
    while at >= 0:
        yield at
        at = data.find(text, at + 1)


def _types_in(pid: int) -> frozenset[int]:
    """Where `bytes` and `str` are in a process of the same interpreter: as far behind its program as here."""
    own, its = _program("self"), _program(pid)
    return frozenset(id(kind) - own + its for kind in (bytes, str))


def _program(pid: int | str) -> int:
    """Where the program or library is loaded that has the types."""
    kind = id(bytes)
    spans = [(_span(line), line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines()]
    name = next(name for (begin, end), name in spans if begin <= kind < end)
    return min(_span(line)[0] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith(name))


def _span(line: str) -> tuple[int, int]:
    begin, end = line.split()[0].split("-")
    return int(begin, 16), int(end, 16)


def _memory(pid: int) -> Iterator[bytes]:
    """What a process may write to, without what it never touched."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory, Path(f"/proc/{pid}/pagemap").open("rb", 0) as pages:
        for line in maps:
            if line.split()[1].startswith("rw"):
                for begin, end in _present(pages, *_span(line)):
                    memory.seek(begin)
                    yield memory.read(end - begin)


def _present(pages: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The runs of pages that are there, at most `STEP` long each."""
    for at in range(begin, end, STEP):
        pages.seek(at // PAGE * 8)
        top = pages.read(min(STEP, end - at) // PAGE * 8)[7::8]
        run = 0
        for place, there in enumerate(byte in PRESENT for byte in top) if any(top) else ():
            if there:
                run += 1
            elif run:
                yield at + (place - run) * PAGE, at + place * PAGE
                run = 0
        if run:
            yield at + (len(top) - run) * PAGE, at + len(top) * PAGE
