"""Writes segments: seals blocks of records, chains them, and begins the next segment when it is time.

What is true after a crash: before the write, the block never was; within it, the file ends in an unfinished frame,
which the next start sets aside as `<date>-<segment>.cut` and owns up to in its first header; after it, it is there.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consent_core.audit.batches import Batch
from consent_core.audit.frames import Header, pack_block, pack_header
from consent_core.audit.recovery import recover
from consent_core.audit.segments import SegmentCipher, SegmentKey, new_key, read_keys, write_keys
from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.trust.files import locked
from consent_core.trust.providers import KeyProvider

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """When a segment ends, and how long to wait after a failed write."""

    segment_bytes: int
    segment_s: int
    retry_after_s: float


class SegmentWriter:
    """The end of a trail. Not for several threads at once: the writer's sealing lock guards it.

    `seq` and `chain` are those of the last block written; `path` is the file it is in.
    """

    def __init__(
        self, directory: Path, writer: str, provider: KeyProvider, clock: Clock, limits: SegmentLimits
    ) -> None:
        self._directory, self._writer = directory, writer
        self._provider, self._clock, self._limits = provider, clock, limits
        self._tail = recover(directory)
        self.path, self._size = self._tail.path, self._tail.size
        self.segment, self.seq, self.chain = self._tail.segment, self._tail.seq, self._tail.chain
        self._file: int | None = None
        self._cipher: SegmentCipher | None = None
        self._prepared: tuple[int, SegmentCipher, str] | None = None
        self._ends_at, self._retry_at, self._recovered = 0, 0.0, 0

    def own_up(self, unfinished: int, recovered: int) -> None:
        """Have the next header say what a crash left: bytes of a record never finished, records unsealed until now."""
        self._tail.dropped += unfinished
        self._recovered = recovered

    def seal(self, records: Batch) -> None:
        """Write records in blocks. They begin where the trail ends: at `seq` + 1.

        Raises: Unavailable("audit-unwritable" | "key-provider") where it stopped.
        """
        for part, block in records.blocks():
            self._ready(self._clock.now())
            self._seal(part.first, len(part), block)

    def open(self) -> None:
        """Begin the first segment."""
        self._begin_segment(self._clock.now())

    def prepare_key(self) -> None:
        """Have the next data key wrapped before it is needed."""
        if self._prepared is None or self._prepared[0] != self.segment + 1:
            self._prepared = (self.segment + 1, *new_key(self._provider, self._writer, self.segment + 1))

    def flush(self) -> None:
        """Tell the disk to keep what was written. Raises: Unavailable("audit-unwritable")."""
        if self._file is None:
            return
        try:
            os.fdatasync(self._file)
        except OSError as error:
            self.abandon()
            raise Unavailable("audit-unwritable", f"the disk does not keep the trail: {error.strerror}") from error

    def abandon(self) -> None:
        """Write nothing more into this segment: a nonce may have been used up."""
        self._cipher = None
        self._retry_at = self._clock.elapsed() + self._limits.retry_after_s

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _seal(self, first: int, count: int, block: bytes) -> None:
        assert self._cipher is not None
        assert first == self.seq + 1
        frame, chain = pack_block(first, count, self._cipher.seal(first, count, block), self.chain)
        self._write(frame)
        self.seq, self.chain = self.seq + count, chain

    def _write(self, frame: bytes) -> None:
        """All of `frame` or none of it. A failed write ends the segment, because its nonce has been used."""
        assert self._file is not None
        crash_point("audit-before-write")
        try:
            written = os.write(self._file, frame)
        except OSError as error:
            self.abandon()
            raise Unavailable("audit-unwritable", f"the trail cannot be written: {error.strerror}") from error
        if written != len(frame):
            self.abandon()
            raise Unavailable("audit-unwritable", "the disk took half a record")
        self._size += written
        crash_point("audit-after-write")

    def _ready(self, now: int) -> None:
        """See that there is a segment to write into, and that it is not over."""
        if self._cipher is None:
            if self._clock.elapsed() < self._retry_at:
                raise Unavailable("audit-unwritable", "the trail could not be written a moment ago")
            self._begin_segment(now)
        elif now >= self._ends_at or self._size >= self._limits.segment_bytes:
            self._roll(now)

    def _roll(self, now: int) -> None:
        """Begin the next segment. While the key provider is away the present one goes on."""
        try:
            self._begin_segment(now)
        except Unavailable as error:
            if error.code != "key-provider" or self._cipher is None:
                raise
            self._ends_at = now + max(1, int(self._limits.retry_after_s))

    def _begin_segment(self, now: int) -> None:
        """A new data key and header. The key is on disk before anything sealed under it."""
        try:
            cipher, wrapped = self._next_key()
            path = self._file_for(now)
            if path != self.path or self._file is None:
                self._open_file(path)
            assert self._file is not None
            os.ftruncate(self._file, self._size)  # nothing of a failed write stays
            with locked(self._directory):
                keys = read_keys(path)
                keys[self.segment + 1] = SegmentKey(self.segment + 1, self._size, wrapped)
                write_keys(path, keys)
            crash_point("audit-key-written")
            self._write_header(cipher, now)
        except OSError as error:
            self.abandon()
            raise Unavailable("audit-unwritable", f"the trail cannot be written: {error.strerror}") from error
        except ConsentEdgeError:
            self._retry_at = self._clock.elapsed() + self._limits.retry_after_s
            raise

    def _write_header(self, cipher: SegmentCipher, now: int) -> None:
        header = Header(
            self._writer,
            self.segment + 1,
            self.seq + 1,
            now,
            cipher.commitment,
            self.chain,
            self._tail.dropped,
            self._tail.damaged,
            self._recovered,
        )
        frame, chain = pack_header(header)
        self._write(frame)
        self._prepared = None
        self._tail.dropped, self._tail.damaged, self._recovered = 0, False, 0
        self._cipher, self.chain, self.segment = cipher, chain, self.segment + 1
        self._ends_at = min(now + self._limits.segment_s, (now // DAY_S + 1) * DAY_S)

    def _next_key(self) -> tuple[SegmentCipher, str]:
        if self._prepared is not None and self._prepared[0] == self.segment + 1:
            return self._prepared[1:]
        return new_key(self._provider, self._writer, self.segment + 1)

    def _file_for(self, now: int) -> Path:
        """Today's file; a clock that goes back never reopens an earlier one."""
        today = self._directory / f"{date_of(now)}.log"
        return today if self.path is None or today.name > self.path.name else self.path

    def _open_file(self, path: Path) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.close()
        self._size = self._size if path == self.path else os.fstat(file).st_size
        self._file, self.path = file, path


def date_of(now: int) -> str:
    """The UTC date of a time in Unix seconds."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
