"""The one thread that changes a database for the event loop, so that a slow or locked disk holds up no other request.

    changes = await writer.run(lambda: store.withdraw(no))      # on disk, or raised, before it returns

Changes happen in the order in which they were asked for. Those that wait together commit together: one fsync for all;
one that is refused is undone alone. A caller that gives up does not undo its change.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

MAX_GROUP = 64  # changes of one commit: about 10 ms of work


class Transactions(Protocol):
    """What the thread needs of a database."""

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """All or nothing."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Inside a transaction: undo this part alone if it raises."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One change. `durable`: it must be on the disk when it is done. `alone`: it has transactions of its own."""

    change: Callable[[], Any]
    durable: bool
    alone: bool
    done: "Future[Any]" = field(default_factory=Future)


class Writer:
    """The thread and what waits for it. It begins with the first change. `_held` is owned by the thread.

    `background`: off where time is simulated and waits for no thread; a change is then carried out at once.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self.background = True
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._held: list[Job | None] = []
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    async def run(self, change: Callable[[], T], *, durable: bool = True, alone: bool = False) -> T:
        """Carry out a change in the thread. Raises: what it raises, and Unavailable("store-io")."""
        if not self.background:
            return change()
        job = Job(change, durable, alone)
        self._start()
        self._jobs.put(job)
        waiting = asyncio.wrap_future(job.done)
        waiting.add_done_callback(_seen)
        result: T = await asyncio.shield(waiting)
        return result

    def close(self) -> None:
        """Carry out what was asked for, then end the thread."""
        with self._starting:
            if self._thread is not None:
                self._jobs.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while self._step():  # of its own: the thread that waits holds nothing of who was served last
            pass

    def _step(self) -> bool:
        group = self._group()
        self._carry_out(group)
        return bool(group)

    def _group(self) -> list[Job]:
        """The next change, and those after it that can share its commit; empty at the end."""
        first = self._held.pop() if self._held else self._jobs.get()
        if first is None:
            return []
        group = [first]
        while not first.alone and len(group) < MAX_GROUP and not self._jobs.empty():
            job = self._jobs.get()
            if job is None or job.alone:
                self._held.append(job)
                break
            group.append(job)
        return group

    def _carry_out(self, group: list[Job]) -> None:
        if not group:
            return
        if len(group) == 1:
            _finish(group[0], _attempt(group[0].change))
            return
        try:
            with self._database.transaction(durable=any(job.durable for job in group)):
                outcomes = [_attempt(lambda job=job: self._part(job)) for job in group]  # type: ignore[misc]
        except Exception as error:
            outcomes = [(None, error)] * len(group)
        for job, outcome in zip(group, outcomes, strict=True):
            _finish(job, outcome)

    def _part(self, job: Job) -> Any:
        with self._database.savepoint():
            return job.change()


Outcome = tuple[Any, Exception | None]


def _attempt(change: Callable[[], Any]) -> Outcome:
    try:
        return change(), None
    except Exception as error:
        return None, error


def _finish(job: Job, outcome: Outcome) -> None:
    result, error = outcome
    if error is None:
        job.done.set_result(result)
    else:
        job.done.set_exception(error)


def _seen(waiting: "asyncio.Future[Any]") -> None:
    """A failure whose waiter is gone is not a failure of the event loop."""
    if not waiting.cancelled():
        waiting.exception()
