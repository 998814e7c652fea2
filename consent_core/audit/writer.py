"""Appends to the audit trail: a record is sealed, chained and in the kernel before `append` returns.

    audit = AuditWriter.open(data / "audit" / "edge" / "tokyo-1", "edge/tokyo-1", provider, clock)
    audit.append({"route": "slot", "status": 200, …}, subject=subject_of(sub), person={"sub": sub})
    audit.head().text        # for the next status report

So `kill -9` loses at most the record being written, a slow disk slows the caller down, and a full one makes `append`
raise: nothing is answered that was not written. A thread of its own flushes to the disk once a second and keeps the
next segment's data key ready, so that no request waits for a key provider.

What is true after a crash: before the write, the record never was; within it, the file ends in an unfinished frame,
which the next start sets aside as `<date>-<segment>.cut` and owns up to in its first header; after it, it is there.
"""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consent_core.audit.frames import Header, pack_header, pack_record
from consent_core.audit.recovery import Tail, log_files, recover
from consent_core.audit.segments import SegmentCipher, SegmentKey, new_key, read_keys, write_keys
from consent_core.audit.visitors import Person, VisitorKeys
from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.trust.files import locked
from consent_core.trust.providers import KeyProvider

DAY_S = 86_400
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """When a segment ends, how often the disk is told to keep what it has, how long to wait after a failed write."""

    segment_bytes: int = 64 * 2**20
    segment_s: int = 3_600
    sync_every_s: float | None = 1.0  # a power cut loses at most this; None: no thread, for tests
    retry_after_s: float = 1.0
    keep_days: int | None = None  # older days are deleted by the thread; None: by nobody


@dataclass(frozen=True, slots=True)
class Head:
    """Where a writer is: its last record, and the chain value now. Whoever keeps it notices if the end goes missing."""

    writer: str
    seq: int
    chain: bytes

    @property
    def text(self) -> str:
        """`<sequence>:<chain value in hex>`, as reported with each status."""
        return f"{self.seq}:{self.chain.hex()}"


class AuditWriter:
    """The one writer of a directory. All state below is owned by whoever holds `_lock`.

    `refused` counts records that could not be written; each was an exception to its caller.
    """

    def __init__(self, directory: Path, writer: str, provider: KeyProvider, clock: Clock, limits: AuditLimits) -> None:
        self.directory, self.writer, self.refused = directory, writer, 0
        self._provider, self._clock, self._limits = provider, clock, limits
        self._lock = threading.RLock()
        self._owner = _own(directory)
        self.visitors = VisitorKeys(directory, writer, provider)
        self._tail = recover(directory)
        self._file: int | None = None
        self._path = self._tail.path
        self._size = self._tail.size
        self._segment, self._seq, self._chain = self._tail.segment, self._tail.seq, self._tail.chain
        self._cipher: SegmentCipher | None = None
        self._prepared: tuple[int, SegmentCipher, str] | None = None
        self._ends_at, self._retry_at = 0, 0.0  # nothing is open: the first record begins a segment
        self._period = ""
        self._closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def open(
        cls, directory: Path, writer: str, provider: KeyProvider, clock: Clock, limits: AuditLimits | None = None
    ) -> "AuditWriter":
        """Continue the trail in `directory` with a new segment.

        Raises: Unavailable("audit-locked" | "audit-unwritable" | "key-provider").
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        audit = cls(directory, writer, provider, clock, limits or AuditLimits())
        try:
            audit._begin_segment(clock.now())
        except ConsentEdgeError:
            audit.close()
            raise
        if audit._limits.sync_every_s is not None:
            audit._thread = threading.Thread(target=audit._keep_synced, args=(audit._limits.sync_every_s,), daemon=True)
            audit._thread.start()
        return audit

    def append(
        self, fields: Mapping[str, Any], *, subject: str | None = None, person: Mapping[str, Any] | None = None
    ) -> int:
        """Write one record and return its sequence number. The time is added as `at`.

        `fields` names nobody. `person` is what does; it is readable until `subject` (64 hex digits) is shredded.
        Raises: Unavailable("audit-unwritable"): the caller must not answer as if it had been recorded.
        """
        return self.append_encoded(encode_fields(fields), subject, tuple((person or {}).items()))

    def append_encoded(self, fields: bytes, subject: str | None = None, person: Person = ()) -> int:
        """As `append`, for fields that `encode_fields` made before: most requests resemble an earlier one.

        `person`: pairs of name and value.
        """
        with self._lock:
            now = self._clock.now()
            try:
                if now >= self._ends_at or self._size >= self._limits.segment_bytes:
                    self._ready(now)
                if person:
                    sealed = self.visitors.seal(subject or "", self._period, person)
                    body = b'{"at":%d,%b,"person":"%b"}' % (now, fields, sealed)
                else:
                    body = b'{"at":%d,%b}' % (now, fields)
                return self._append(body)
            except ConsentEdgeError:
                self.refused += 1
                raise

    def head(self) -> Head:
        """Where the trail ends now. Sequence 0 before the first record."""
        with self._lock:
            return Head(self.writer, self._seq, self._chain)

    def shred(self, subject: str) -> int:
        """Make everything ever recorded of a visitor unreadable, and record that it was done. Returns keys deleted.

        Doing it again does nothing.
        """
        with self._lock:
            if self.visitors.is_shredded(subject):
                return 0
            deleted = self.visitors.shred(subject, self._period)
            self.append({"event": "shred", "keys": deleted})
            return deleted

    def expire(self, keep_days: int) -> list[str]:
        """Delete the files of days older than `keep_days`, after recording where the trail now begins.

        Returns: the names deleted.
        """
        with self._lock:
            first_kept = _date(self._clock.now() - keep_days * DAY_S)
            old = [path for path in log_files(self.directory) if path.stem < first_kept and path != self._path]
            if not old:
                return []
            kept = next(path for path in log_files(self.directory) if path not in old)
            first_segment = min(read_keys(kept), default=self._segment)
            self.append({"event": "retention", "through": old[-1].stem, "first_segment": first_segment})
            crash_point("audit-retention-recorded")
            for path in old:
                for companion in (*self.directory.glob(f"{path.stem}-*.cut"), path.with_suffix(".keys"), path):
                    companion.unlink(missing_ok=True)
            self.visitors.expire(first_kept[:7])
            return [path.name for path in old]

    def flush(self) -> None:
        """Tell the disk to keep what was written. Raises: Unavailable("audit-unwritable")."""
        with self._lock:
            file = None if self._file is None else os.dup(self._file)
        if file is not None:
            try:
                os.fdatasync(file)
            except OSError as error:
                self._abandon_segment()
                raise Unavailable("audit-unwritable", f"the disk does not keep the trail: {error.strerror}") from error
            finally:
                os.close(file)

    def close(self) -> None:
        """Stop the thread, flush, and let another writer continue. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock, contextlib.suppress(ConsentEdgeError):
            self.flush()
        self._close_file()
        self.visitors.close()
        os.close(self._owner)

    def _append(self, body: bytes) -> int:
        assert self._cipher is not None
        seq = self._seq + 1
        frame, chain = pack_record(seq, self._cipher.seal(seq, body), self._chain)
        self._write(frame)
        self._seq, self._chain = seq, chain
        return seq

    def _write(self, frame: bytes) -> None:
        """All of `frame` or none of it. A failed write ends the segment, because its nonce has been used."""
        assert self._file is not None
        crash_point("audit-before-write")
        try:
            written = os.write(self._file, frame)
        except OSError as error:
            self._abandon_segment()
            raise Unavailable("audit-unwritable", f"the trail cannot be written: {error.strerror}") from error
        if written != len(frame):
            self._abandon_segment()
            raise Unavailable("audit-unwritable", "the disk took half a record")
        self._size += written
        crash_point("audit-after-write")

    def _ready(self, now: int) -> None:
        """There is no segment to write into, or it is time for the next."""
        if self._cipher is None:
            if self._clock.elapsed() < self._retry_at:
                raise Unavailable("audit-unwritable", "the trail could not be written a moment ago")
            self._begin_segment(now)
        else:
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
            if path != self._path or self._file is None:
                self._open_file(path)
            assert self._file is not None
            os.ftruncate(self._file, self._size)  # nothing of a failed write stays
            with locked(self.directory):
                keys = read_keys(path)
                keys[self._segment + 1] = SegmentKey(self._segment + 1, self._size, wrapped)
                write_keys(path, keys)
            crash_point("audit-key-written")
            self._write_header(cipher, now)
        except OSError as error:
            self._abandon_segment()
            raise Unavailable("audit-unwritable", f"the trail cannot be written: {error.strerror}") from error
        except ConsentEdgeError:
            self._retry_at = self._clock.elapsed() + self._limits.retry_after_s
            raise

    def _write_header(self, cipher: SegmentCipher, now: int) -> None:
        header = Header(
            self.writer,
            self._segment + 1,
            self._seq + 1,
            now,
            cipher.commitment,
            self._chain,
            self._tail.dropped,
            self._tail.damaged,
        )
        frame, chain = pack_header(header)
        self._write(frame)
        self._prepared = None
        self._tail = Tail()
        self._cipher, self._chain, self._segment = cipher, chain, self._segment + 1
        self._ends_at = min(now + self._limits.segment_s, (now // DAY_S + 1) * DAY_S)
        self._period = _date(now)[:7]

    def _next_key(self) -> tuple[SegmentCipher, str]:
        if self._prepared is not None and self._prepared[0] == self._segment + 1:
            return self._prepared[1:]
        return new_key(self._provider, self.writer, self._segment + 1)

    def _prepare_key(self) -> None:
        """Have the next data key wrapped before it is needed; the provider is asked without the lock."""
        with self._lock:
            segment = self._segment + 1
            if self._prepared is not None and self._prepared[0] == segment:
                return
        cipher, wrapped = new_key(self._provider, self.writer, segment)
        with self._lock:
            self._prepared = (segment, cipher, wrapped)

    def _file_for(self, now: int) -> Path:
        """Today's file; a clock that goes back never reopens an earlier one."""
        today = self.directory / f"{_date(now)}.log"
        return today if self._path is None or today.name > self._path.name else self._path

    def _open_file(self, path: Path) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._close_file()
        self._size = self._size if path == self._path else os.fstat(file).st_size
        self._file, self._path = file, path

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _abandon_segment(self) -> None:
        with self._lock:
            self._cipher, self._ends_at = None, 0
            self._retry_at = self._clock.elapsed() + self._limits.retry_after_s

    def _keep_synced(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            with contextlib.suppress(ConsentEdgeError):  # the next append says so to whom it concerns
                self.flush()
            with contextlib.suppress(ConsentEdgeError):
                self._prepare_key()
                if self._limits.keep_days is not None and self._period:
                    self.expire(self._limits.keep_days)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """The members of a record, as they lie in it."""
    return _encode(dict(fields))[1:-1].encode("ascii")


def _date(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def _own(directory: Path) -> int:
    """Be the only writer here for as long as the descriptor is open; the kernel lets go if we die."""
    try:
        owner = os.open(directory / ".writer", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(owner)
        raise Unavailable("audit-locked", f"another process writes {directory.name}") from error
    except OSError as error:
        raise Unavailable("audit-unwritable", f"{directory.name}: {error.strerror}") from error
    return owner
