"""Erasure as a durable step machine: each part of a purged visitor is deleted, counted again, and marked.

    eraser = Eraser(store, parts, sync.failures.count, sync.report_soon)
    eraser.step()                 # in the turn that applies a purge, at start, and every 5 s while something is owed

`store.apply` owes the parts in the transaction that applies the purge, so a process that dies forgets no part. A part
that fails (a locked file, a full disk, a worker that hangs) stays owed; the receipt exists when none is. A process
answers for its own trail and memory: workers say on the shared state through which purge they have acted.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.erasures import PARTS, RECEIPT, Erased, Owed
from runtime_host.pop.stores.shared_state import Mark, SharedState

RETRY_S = 5.0


class Part(Protocol):
    """Something that holds what names visitors."""

    def delete(self, subject: str) -> int:
        """Forget a visitor (64 hex digits); how much there was. Raises: Unavailable."""
        ...

    def left(self, subject: str) -> int:
        """How much of a visitor is here. Raises: Unavailable."""
        ...


class Remembering(Protocol):
    """A cache that holds what names visitors."""

    def forget(self, subject: str) -> int:
        """Drop what is about a visitor; how many entries there were."""
        ...

    def holds(self, subject: str) -> int:
        """How many entries are about a visitor."""
        ...


class Trail(Protocol):
    """An audit trail of this process."""

    def shred(self, subject: str) -> int:
        """Delete the visitor's keys."""
        ...

    def keys_left(self, subject: str) -> int:
        """How many there are."""
        ...


class Rows:
    """One part of `pop.db`."""

    def __init__(self, store: PopStore, part: str) -> None:
        self._erasures, self._part = store.erasures, part

    def delete(self, subject: str) -> int:
        """Delete its rows."""
        return self._erasures.delete(self._part, subject)

    def left(self, subject: str) -> int:
        """Count them."""
        return self._erasures.left(self._part, subject)


class Memory:
    """What this process remembers: answers, tokens, recent interactions."""

    def __init__(self, caches: Iterable[Remembering]) -> None:
        self._caches = tuple(caches)

    def delete(self, subject: str) -> int:
        """Forget a visitor."""
        return sum(cache.forget(subject) for cache in self._caches)

    def left(self, subject: str) -> int:
        """Count what is remembered."""
        return sum(cache.holds(subject) for cache in self._caches)


class Shreddable:
    """A trail that this process writes, or that has no writer any more."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def delete(self, subject: str) -> int:
        """Make what was recorded unreadable."""
        return self._trail.shred(subject)

    def left(self, subject: str) -> int:
        """Count the keys that still open something."""
        return self._trail.keys_left(subject)


class AtWorker:
    """The parts of another process of this POP, by what it says on the shared state.

    `_wanted`: by visitor, the mark of erasures when this process first asked; the purge had been committed by then.
    """

    def __init__(self, state: SharedState, place: int) -> None:
        self._state, self._place = state, place
        self._wanted: dict[str, int] = {}

    def delete(self, _: str) -> int:
        """Nothing from here: the worker does it, at once when it sees the mark, and at its start."""
        return 0

    def left(self, subject: str) -> int:
        """1 until the worker has acted on a mark that covers this purge."""
        wanted = self._wanted.setdefault(subject, self._state.mark(Mark.ERASED))
        if self._state.acted(self._place) < wanted:
            return 1
        del self._wanted[subject]
        return 0


class Eraser:
    """The lead's, or the only process's. `parts`: besides those of `pop.db`, by name; `done`: a receipt is there."""

    def __init__(
        self,
        store: PopStore,
        parts: Mapping[str, Part],
        failed: Callable[[ConsentEdgeError], None],
        done: Callable[[], None],
    ) -> None:
        self._store = store
        self._parts = {**{part: Rows(store, part) for part in PARTS}, **parts}
        self._failed = failed
        self._done = done
        store.profile = tuple(parts)

    def step(self) -> bool:
        """Try everything that is owed; whether nothing is any more. Never raises for a part that fails."""
        for owed in self._store.erasures.owed():
            self._try(lambda owed=owed: self._erase(owed))  # type: ignore[misc]
        for erased in self._store.erasures.complete():
            self._try(lambda erased=erased: self._attest(erased))  # type: ignore[misc]
        return not self._store.erasures.owed()

    def again(self, subjects: Iterable[str]) -> None:
        """Erase these visitors in what may have come back from a backup: everything beside `pop.db`."""
        for subject in subjects:
            for name, part in self._parts.items():
                if name not in PARTS:
                    self._try(lambda part=part, subject=subject: part.delete(subject))  # type: ignore[misc]

    def purged(self, _: str) -> None:
        """A purge was applied just now: begin at once."""
        self._try(self.step)

    async def run(self) -> None:
        """At start, and every 5 s, until cancelled."""
        while True:
            self._try(self.step)
            await asyncio.sleep(RETRY_S)

    def _erase(self, owed: Owed) -> None:
        part, erasures = self._part(owed), self._store.erasures
        deleted = part.delete(owed.subject)
        if deleted:
            erasures.deleted(owed, deleted)
        crash_point("erase-part-deleted")
        if part.left(owed.subject) == 0:
            crash_point("erase-part-counted")
            erasures.counted(owed)

    def _part(self, owed: Owed) -> Part:
        """A worker that this POP no longer has left no memory; its trail is one of the retired, so it is in `parts`."""
        return self._parts.get(owed.part) or Memory(())

    def _attest(self, erased: Erased) -> None:
        self._store.attest(erased)
        crash_point("erase-attested")
        self._done()

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except ConsentEdgeError as error:
            self._failed(error)


class Deputy:
    """A worker's: its own trail and memory, and the word of it on the shared state. `_owed`: visitors to see to."""

    def __init__(self, parts: Iterable[Part], state: SharedState, failed: Callable[[ConsentEdgeError], None]) -> None:
        self._parts = tuple(parts)
        self._state = state
        self._failed = failed
        self._owed: set[str] = set()
        self._mark = 0

    def erase(self, subjects: Iterable[str], mark: int) -> None:
        """See to visitors; `mark`: of erasures, read before anybody looked who was erased."""
        self._owed |= set(subjects)
        self.through(mark)

    def purged(self, subject: str) -> None:
        """The lead has applied a purge."""
        self._owed.add(subject)

    def through(self, mark: int) -> None:
        """All purges up to this mark were told: begin at once."""
        self._mark = mark
        self.step()

    def step(self) -> None:
        """Try what is owed; with nothing owed, say so."""
        self._owed = {subject for subject in self._owed if not self._gone(subject)}
        if not self._owed:
            self._state.act(self._mark)

    async def run(self) -> None:
        """At start, and every 5 s, until cancelled."""
        while True:
            self.step()
            await asyncio.sleep(RETRY_S)

    def _gone(self, subject: str) -> bool:
        try:
            for part in self._parts:
                part.delete(subject)
            return not sum(part.left(subject) for part in self._parts)
        except ConsentEdgeError as error:
            self._failed(error)
            return False


__all__ = ["RECEIPT", "AtWorker", "Deputy", "Eraser", "Memory", "Part", "Rows", "Shreddable"]
