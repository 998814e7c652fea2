"""What the processes of one POP must see of each other before the next request: a few numbers in shared memory.

    shared_state = SharedState.make(workers=2)                # in the lead; `shared_state.fd` is inherited
    shared_state = SharedState.join(fd, place=1, workers=2)   # in a worker

    marks      a counter for the policy, the keys, the erased, and one per process for the denials it committed
    word       when the lead's last good poll was sent, the control plane's time, since when a policy is lacking
    load       how many connections each process has: no consent depends on it
    acted      through which mark of the erased each worker has forgotten them

A mark has one writer and only rises, after what it announces is on disk. A process that finds other marks than before
reads again before it answers; so a reading that was torn does no harm, it is only another one. The word's numbers are
written and read whole: eight aligned bytes each.

The memory has no name and ends with its processes: nothing that an earlier run left can look fresh. It begins as
zeros, which is out of sync. Trust: only the POP's own processes can write it.
"""

import fcntl
import mmap
import os
import struct
import sys
import threading
from enum import IntEnum

MAX_WORKERS = 64
LEAD = 0  # its place; the workers it starts have 1, 2, …

_WORD = struct.Struct("=ddd")
_MARKS_AT = _WORD.size


class Mark(IntEnum):
    """What the lead announces. The marks after these are the denials of each process, by place."""

    POLICY = 0
    KEYS = 1
    ERASED = 2


_SHARED = len(Mark)
_GONE = 2**62  # connections of a process that takes none
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class SharedState:
    """The shared memory as one process sees it. `place`: whose denials it announces."""

    def __init__(self, fd: int, place: int, workers: int) -> None:
        if not 0 <= place < workers <= MAX_WORKERS:
            raise ValueError(f"expected a place below {workers}, and at most {MAX_WORKERS} workers")
        self.fd, self.place, self.workers = fd, place, workers
        self._marks = struct.Struct(f"={_SHARED + workers}Q")
        self._end = _MARKS_AT + self._marks.size
        self._load = struct.Struct(f"={workers}Q")
        self._acted_at = self._end + self._load.size
        self._memory = mmap.mmap(fd, self._acted_at + 8 * workers)
        self._raising = threading.Lock()  # of this process's threads: the store's writer, and the event loop

    @classmethod
    def make(cls, workers: int) -> "SharedState":
        """A new one, all zeros, for the lead."""
        fd = os.memfd_create("consent-edge-shared_state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, _MARKS_AT + 8 * (_SHARED + 3 * workers))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        shared_state = cls(fd, LEAD, workers)
        for place in range(workers):
            shared_state.leave(place)
        return shared_state

    @classmethod
    def join(cls, fd: int, place: int, workers: int) -> "SharedState":
        """The lead's, through a descriptor it passed on."""
        return cls(fd, place, workers)

    # Marks: what changed.

    def marks(self) -> bytes:
        """All marks, to be compared with an earlier reading."""
        return self._memory[_MARKS_AT : self._end]

    def count(self, marks: bytes) -> int:
        """A reading of marks as one number, which rises with each change."""
        return sum(self._marks.unpack(marks))

    def mark(self, mark: Mark) -> int:
        """One of the lead's marks."""
        (value,) = struct.unpack_from("=Q", self._memory, _MARKS_AT + 8 * mark)
        return int(value)

    def mark_in(self, marks: bytes, mark: Mark) -> int:
        """The same in an earlier reading."""
        return int.from_bytes(marks[8 * mark : 8 * mark + 8], sys.byteorder)

    def announce(self, mark: Mark) -> None:
        """The lead has put a change on disk."""
        self._raise(int(mark))

    def announce_denial(self) -> None:
        """This process has committed a denial."""
        self._raise(_SHARED + self.place)

    def _raise(self, index: int) -> None:
        at = _MARKS_AT + 8 * index
        with self._raising:
            (value,) = struct.unpack_from("=Q", self._memory, at)
            struct.pack_into("=Q", self._memory, at, value + 1)

    # The lead's word: how it stands with the control plane. Times as `Clock.elapsed`, which all processes share.

    def tell(self, sent: float | None, signed_offset: float | None, lacking_since: float | None) -> None:
        """Say when the last good poll was sent, what to add to `elapsed` for the control plane's time, since when
        a demanded policy is lacking. None: never, or no longer.
        """
        for at, value in ((8, signed_offset), (16, lacking_since), (0, sent)):
            struct.pack_into("=d", self._memory, at, value or 0.0)

    def word(self) -> tuple[float, float, float]:
        """`sent`, `signed_offset`, `lacking_since`; 0 for None."""
        return _WORD.unpack_from(self._memory)

    # Load: how connections are shared out.

    def have_connections(self, count: int) -> None:
        """This process takes connections and has so many."""
        self._load_at(self.place, count)

    def leave(self, place: int) -> None:
        """The process in this place takes none: itself, or the lead where it has ended."""
        self._load_at(place, _GONE)

    def fewest_connections(self) -> int:
        """Of all processes that take any."""
        fewest: int = min(self._load.unpack_from(self._memory, self._end))
        return fewest

    def _load_at(self, place: int, count: int) -> None:
        struct.pack_into("=Q", self._memory, self._end + 8 * place, count)

    # Erasure: what each worker has done.

    def act(self, mark: int) -> None:
        """This process holds nothing of visitors erased when `Mark.ERASED` stood there."""
        struct.pack_into("=Q", self._memory, self._acted_at + 8 * self.place, mark)

    def acted(self, place: int) -> int:
        """What the process in this place said last; 0 before it said anything."""
        (mark,) = struct.unpack_from("=Q", self._memory, self._acted_at + 8 * place)
        return int(mark)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
        os.close(self.fd)
