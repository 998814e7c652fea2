"""Single sections of a core module, exchanged: its exports, and its memory with all that is in it."""

import re
from collections.abc import Iterator, Mapping

from builder.finish import binary
from builder.finish.binary import refuse
from builder.finish.core_module import read_core_module
from builder.finish.write import data_segment

PAGE = 65_536
GAP = 1024  # zeros worth a segment of their own: each segment takes some ten bytes of the file
_SEGMENT = re.compile(rb"[^\0](?:[^\0]|\0{1,%d}(?=[^\0]))*+" % GAP)
_MEMORY, _EXPORTS, _DATA = 5, 7, 11


def replace_sections(core: bytes, bodies: Mapping[int, bytes]) -> bytes:
    """The module with other bodies for sections that it has."""
    found = binary.sections(core, binary.CORE_MODULE)
    return binary.CORE_MODULE + b"".join(binary.section(kind, bodies.get(kind, body)) for kind, body in found)


def without_exports(core: bytes, names: frozenset[str]) -> bytes:
    """The module without exports of these names."""
    kept = [
        binary.name(name) + bytes([kind]) + binary.unsigned(index)
        for name, (kind, index) in read_core_module(core).exports.items()
        if name not in names
    ]
    return replace_sections(core, {_EXPORTS: binary.vector(kept)})


def with_memory(core: bytes, memory: bytes) -> bytes:
    """The module that starts with this memory."""
    (limits,) = read_core_module(core).memories
    if limits[0]:
        raise refuse("a memory with a limit of its own")
    segments = [data_segment(offset, content) for offset, content in _segments(memory)]
    pages = binary.vector([b"\0" + binary.unsigned(len(memory) // PAGE)])
    return replace_sections(core, {_MEMORY: pages, _DATA: binary.vector(segments)})


def _segments(memory: bytes) -> Iterator[tuple[int, bytes]]:
    yield from ((found.start(), found.group()) for found in _SEGMENT.finditer(memory))
