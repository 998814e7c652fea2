"""Appends to the audit trail: a record is in the kernel before `append` returns, and sealed a moment later.

    audit = AuditWriter.open(data / "audit" / "edge" / "tokyo-1", "edge/tokyo-1", provider, clock)
    audit.append({"route": "slot", "status": 200, …}, subject=subject_of(sub), person={"sub": sub})
    audit.head().text        # for the next status report

A record goes into the journal, a file mapped into memory; a thread seals what waits there in blocks, so that a request
pays for a copy and not for a cipher. `kill -9` loses at most the record being copied: the next start seals what waits.
A full disk fills the journal, and then `append` raises: nothing is answered that was not recorded. The thread also
tells the disk once a second to keep what it has, and has the next data key wrapped before it is needed.
"""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent_core.audit.journal import Journal, Waiting, read_journal
from consent_core.audit.recovery import log_files
from consent_core.audit.segment_writer import DAY_S, SegmentLimits, SegmentWriter, date_of
from consent_core.audit.segments import read_keys
from consent_core.audit.visitors import Person, VisitorKeys
from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.trust.providers import KeyProvider

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """When a segment ends, how long a record may wait, how often the disk is told, how long days are kept."""

    segment_bytes: int = 64 * 2**20
    segment_s: int = 3_600
    seal_every_s: float | None = 0.05  # None: no thread, each record is sealed at once; for tests
    sync_every_s: float = 1.0  # a power cut loses at most this
    retry_after_s: float = 1.0  # after a failed write
    journal_bytes: int = 4 * 2**20  # at least 15,000 records: what a POP can take while its disk is full
    keep_days: int | None = None  # older days are deleted by the thread; None: they stay


@dataclass(frozen=True, slots=True)
class Head:
    """Where a writer is: its last record, and the chain value now. Kept, it shows if the end goes missing."""

    writer: str
    seq: int
    chain: bytes

    @property
    def text(self) -> str:
        """`<sequence>:<chain value in hex>`, as reported with each status."""
        return f"{self.seq}:{self.chain.hex()}"


class AuditWriter:
    """The one writer of a directory. `refused` counts records that could not be written: each was an exception.

    `_lock` guards what `append` touches: visitors, journal and `_seq`. `_sealing` guards the segments and
    is taken first. A record is in the journal until it is in a segment.
    """

    def __init__(self, directory: Path, writer: str, provider: KeyProvider, clock: Clock, limits: AuditLimits) -> None:
        self.directory, self.writer, self.refused = directory, writer, 0
        self._clock, self._limits = clock, limits
        self._lock, self._sealing = threading.Lock(), threading.RLock()
        self._enter, self._leave, self._now = self._lock.acquire, self._lock.release, clock.now
        self._closed, self._stop = False, threading.Event()
        self._thread: threading.Thread | None = None
        self._day_ends = 0
        self._failing: str | None = None  # why the last seal or flush failed; replaced whole
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, _own(directory))
            self.visitors = VisitorKeys(directory, writer, provider)
            opened.callback(self.visitors.close)
            segment = SegmentLimits(limits.segment_bytes, limits.segment_s, limits.retry_after_s)
            self._segments = SegmentWriter(directory, writer, provider, clock, segment)
            opened.callback(self._segments.close)
            self._begin(read_journal(directory))
            self._journal = Journal(directory, limits.journal_bytes)
            opened.callback(self._journal.close)
            self._opened = opened.pop_all()
        self._seq, self._add = self._segments.seq, self._journal.add

    @classmethod
    def open(
        cls, directory: Path, writer: str, provider: KeyProvider, clock: Clock, limits: AuditLimits | None = None
    ) -> "AuditWriter":
        """Continue the trail in `directory` with a new segment, and seal what a killed writer left waiting.

        Raises: Unavailable("audit-locked" | "audit-unwritable" | "key-provider").
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        audit = cls(directory, writer, provider, clock, limits or AuditLimits())
        if audit._limits.seal_every_s is not None:
            audit._thread = threading.Thread(target=audit._keep_up, args=(audit._limits.seal_every_s,), daemon=True)
            audit._thread.start()
        return audit

    def append(
        self, fields: Mapping[str, Any], *, subject: str | None = None, person: Mapping[str, Any] | None = None
    ) -> int:
        """Write one record and return its sequence number. The time is added as `at`.

        `fields` holds no personal data. `person` does; it is readable until `subject` (64 hex digits) is shredded.
        Raises: Unavailable("audit-unwritable"): the caller must not answer as if it had been recorded.
        """
        return self.append_encoded(
            encode_fields(fields), Person(subject or "", tuple(person.items())) if person else None
        )

    def append_encoded(self, fields: bytes, person: Person | None = None) -> int:
        """As `append`, for fields that `encode_fields` made before: most requests resemble an earlier one."""
        try:
            self._enter()  # `with` would be a third dearer, and this is what each request pays
            try:
                now = self._now()
                if now >= self._day_ends:
                    self._begin_day(now)
                if person is None:
                    sealed = b""
                else:
                    sealed = person.sealed if person.epoch is self.visitors.epoch else self.visitors.seal(person)
                seq = self._seq + 1
                if self._add(seq, now, fields, sealed):
                    self._seq = seq
                    if self._thread is not None:
                        return seq
                else:
                    seq = 0
            finally:
                self._leave()
            if not seq:
                seq = self._add_after_sealing(now, fields, sealed)
            if self._thread is None:
                self._seal_last()
        except ConsentEdgeError:
            self.refused += 1
            raise
        return seq

    def head(self) -> Head:
        """Where the trail ends now, everything sealed that can be. Sequence 0 before the first record."""
        with self._sealing:
            with contextlib.suppress(ConsentEdgeError):
                self._seal()
            return Head(self.writer, self._segments.seq, self._segments.chain)

    def shred(self, subject: str) -> int:
        """Make everything ever recorded of a visitor unreadable, and record that it was done. Returns keys deleted.

        Doing it again does nothing.
        """
        with self._lock:
            if self.visitors.is_shredded(subject):
                return 0
            deleted = self.visitors.shred(subject, date_of(self._clock.now())[:7])
        self.append({"event": "shred", "keys": deleted})
        return deleted

    def keys_left(self, subject: str) -> int:
        """How many keys open what was recorded of a visitor."""
        with self._lock:
            return self.visitors.keys_left(subject)

    def expire(self, keep_days: int) -> list[str]:
        """Delete the files of days older than `keep_days`, after recording where the trail now begins.

        Returns: the names deleted.
        """
        with self._sealing:
            first_kept = date_of(self._clock.now() - keep_days * DAY_S)
            files = log_files(self.directory)
            old = [path for path in files if path.stem < first_kept and path != self._segments.path]
            if not old:
                return []
            first_segment = min(read_keys(files[len(old)]), default=self._segments.segment)
            self.append({"event": "retention", "through": old[-1].stem, "first_segment": first_segment})
            self.flush()
            crash_point("audit-retention-recorded")
            for path in old:
                for bundled_slot in (*self.directory.glob(f"{path.stem}-*.cut"), path.with_suffix(".keys"), path):
                    bundled_slot.unlink(missing_ok=True)
            with self._lock:
                self.visitors.expire(first_kept[:7])
            return [path.name for path in old]

    def faults(self) -> dict[str, str]:
        """`audit-unwritable` while what was recorded cannot be sealed; the journal has room for a while longer."""
        failing = self._failing
        return {} if failing is None else {"audit-unwritable": failing}

    def flush(self) -> None:
        """Seal what waits, and tell the disk to keep it. Raises: Unavailable("audit-unwritable")."""
        with self._sealing:
            self._seal()
            self._segments.flush()

    def close(self) -> None:
        """Stop the thread, flush, and let another writer continue. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(ConsentEdgeError):
            self.flush()
        self._opened.close()

    def _begin(self, left: Waiting) -> None:
        """The first segment, and in it what was left. Dying within it leaves the journal, or numbers already sealed."""
        batches = left.after(self._segments.seq)
        self._segments.own_up(left.unfinished, sum(len(batch) for batch in batches))
        self._segments.open()
        for batch in batches:
            self._segments.seal(batch)
        self._segments.flush()  # the journal, which has them too, is emptied next
        crash_point("audit-left-sealed")

    def _begin_day(self, now: int) -> None:
        self._day_ends = (now // DAY_S + 1) * DAY_S
        self.visitors.begin(date_of(now)[:7])

    def _add_after_sealing(self, now: int, fields: bytes, sealed: bytes) -> int:
        """The journal was full: make room."""
        while True:
            self._seal()
            with self._lock:
                seq = self._seq + 1
                if self._journal.add(seq, now, fields, sealed):
                    self._seq = seq
                    return seq
                if self._journal.is_empty:
                    raise Unavailable("audit-unwritable", "the journal is too small for this record")

    def _seal(self) -> None:
        """Seal what waits now. A record that cannot be sealed goes on waiting."""
        with self._sealing:
            last = self._seq  # what is added meanwhile waits for the next time
            while self._segments.seq < last:
                with self._lock:
                    side = self._journal.turn()
                self._segments.seal(self._journal.batch(side).after(self._segments.seq))
                crash_point("audit-sealed")
                side.clear()

    def _seal_last(self) -> None:
        """Without a thread: seal the record just added, or take it back."""
        try:
            self._seal()
        except ConsentEdgeError:
            with self._lock:
                self._journal.take_back()
                self._seq -= 1
            raise

    def _keep_up(self, every_s: float) -> None:
        """Seal every `every_s`; now and then flush, prepare the next key and let old days go."""
        due = 0.0
        while not self._stop.wait(every_s):
            with self._noted():  # what cannot be sealed waits, until `append` runs out of room
                self._seal()
            if self._clock.elapsed() >= due:
                due = self._clock.elapsed() + self._limits.sync_every_s
                self._now_and_then()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """A failure is not raised: it is what `faults` says until a flush succeeds."""
        try:
            yield
        except ConsentEdgeError as error:
            self._failing = f"{error.code}: {error.message}"

    def _now_and_then(self) -> None:
        with self._noted():
            self.flush()
            self._failing = None
        with contextlib.suppress(ConsentEdgeError), self._sealing:
            self._segments.prepare_key()
        if self._limits.keep_days is not None:
            with contextlib.suppress(ConsentEdgeError):
                self.expire(self._limits.keep_days)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """The members of a record, as they lie in it. Raises: ValueError if there are none."""
    if not fields:
        raise ValueError("a record that says nothing")
    return _encode(dict(fields))[1:-1].encode("ascii")


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
