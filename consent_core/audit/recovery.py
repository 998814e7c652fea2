"""What a writer finds at its start: the end of the trail, and what a crash left behind it.

Bytes behind the last whole frame are set aside in `<date>-<segment>.cut`, never deleted: they may be evidence.
"""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from consent_core.audit.frames import GENESIS, Header, UnfinishedFrame, read_frames
from consent_core.audit.segments import read_keys
from consent_core.errors import Unavailable, Untrusted
from consent_core.trust.files import PRIVATE, write_atomically

Bytes = bytes | mmap.mmap


@dataclass(slots=True)
class Tail:
    """Where to go on: the newest file and its size, the last segment, sequence and chain value; what was set aside."""

    path: Path | None = None
    size: int = 0
    segment: int = 0
    seq: int = 0
    chain: bytes = GENESIS
    dropped: int = 0
    damaged: bool = False


def log_files(directory: Path) -> list[Path]:
    """The log files of a writer, oldest first."""
    return sorted(directory.glob("????-??-??.log"))


def map_file(path: Path) -> Bytes:
    """A file's bytes, not read before they are looked at."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def recover(directory: Path) -> Tail:
    """The end of the trail in `directory`, made clean. Raises: Unavailable("audit-unwritable")."""
    tail = Tail()
    try:
        for path in reversed(log_files(directory)):
            size = _read_end(path, tail)
            if tail.path is None:
                tail.path, tail.size = path, size
            if tail.segment:
                break
    except OSError as error:
        raise Unavailable("audit-unwritable", f"{directory.name}: {error.strerror}") from error
    return tail


def _read_end(path: Path, tail: Tail) -> int:
    """Follow the last segment of a file into `tail`, cut what follows it, and return the size that is left."""
    data, size = map_file(path), 0
    try:
        for frame in read_frames(data, _last_segment(path, data)):
            if frame.is_header:
                header = Header.from_bytes(frame.body)
                tail.segment, tail.seq = header.segment, header.first_seq - 1
            elif tail.segment == 0:
                raise Untrusted("audit-frame", "a record outside a segment")
            else:
                tail.seq = frame.last
            tail.chain, size = frame.chain, frame.end
    except UnfinishedFrame:
        pass
    except Untrusted:
        tail.damaged = True
    if len(data) > size:
        tail.dropped += len(data) - size
        _set_aside(path, tail.segment, data[size:], size)
    return size


def _last_segment(path: Path, data: Bytes) -> int:
    """Where the last segment of a file begins, if the key file says so truly; else the beginning of the file."""
    try:
        start = max((key.offset for key in read_keys(path).values() if key.offset < len(data)), default=0)
        return start if next(read_frames(data, start)).is_header else 0
    except (Untrusted, UnfinishedFrame, StopIteration):
        return 0


def _set_aside(path: Path, segment: int, lost: bytes, size: int) -> None:
    """Keep the bytes elsewhere first, then cut: dying in between does both again."""
    write_atomically(path.with_name(f"{path.stem}-{segment}.cut"), lost, PRIVATE)
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())
