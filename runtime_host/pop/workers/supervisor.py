"""The lead's side: starts the workers, starts those again that end, and answers for all of them.

A worker that ends is started again after a pause that grows while it does not live long. What it had counted stays
counted. The generation moves: it may have committed a "no" and died before it said so.
"""

import asyncio
import base64
import contextlib
import fcntl
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consent_core.errors import Unavailable
from consent_core.telemetry.numbers import Numbers, read_numbers
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.channel import Channel, Hear, Message

LOG = logging.getLogger("consent_edge.pop")

MODULE = "runtime_host.pop.process.worker"
RUNNING = "running.lock"  # held by every process of a POP, as long as one of them lives
PREDECESSOR_S = 15.0  # how long an earlier run may take to end: its workers finish begun answers
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # before a worker is started again
LIVED_S = 30.0  # a worker that lived so long begins with the shortest pause again
STOP_S = 8.0  # more than answers are given to finish; then it is ended
ANSWER_S = 1.0  # how long a scrape waits for a worker that hangs
HEADS_EVERY_S = 5.0  # so that a status report names heads that are at most so old
FROZEN_AFTER = 3  # such looks without a word: 15 s, counted by looks so that a lead that slept ends no worker


@dataclass(slots=True)
class Worker:
    """One place, and the process in it. `counted`: by those before; `numbers`: its own, as last told."""

    place: int
    process: asyncio.subprocess.Process | None = None
    channel: Channel | None = None
    serves: bool = False
    restarts: int = 0
    silent: int = 0  # looks of the lead since its last word
    head: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)  # of its own parts, as last told
    counted: Numbers = field(default_factory=Numbers)
    numbers: Numbers = field(default_factory=Numbers)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self) -> None:
        """Keep what it had counted."""
        self.process, self.channel, self.serves, self.silent, self.faults = None, None, False, 0, {}
        self.counted += self.numbers.lasting()
        self.numbers = Numbers()
        self.told.set()


class Supervisor:
    """All workers of one lead. `orders`: what each needs to know, pickled; `held`: the lock of this run."""

    def __init__(self, shared_state: SharedState, listening: socket.socket, orders: Any, held: int) -> None:
        self.shared_state = shared_state
        self.listening = listening
        self._orders = base64.b64encode(pickle.dumps(orders)).decode("ascii")
        self._held = held
        self._workers = [Worker(place) for place in range(1, shared_state.workers)]
        self._hear: Hear = lambda _: None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def attend(self, hear: Hear) -> None:
        """Have this handler hear what workers say."""
        self._hear = hear

    def start(self) -> None:
        """Start all workers and see that they stay."""
        self._tasks = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        self._tasks.append(asyncio.create_task(self._keep_heads()))

    async def stop(self) -> None:
        """Have the workers finish what they began; return when all have ended."""
        self._stopping.set()
        for worker in self._workers:
            _signal(worker, signal.SIGTERM)
        *keepers, heads = self._tasks
        heads.cancel()
        _, late = await asyncio.wait(keepers, timeout=STOP_S)
        for worker in self._workers:
            _signal(worker, signal.SIGKILL)
        for task in late:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, STOP_S)
        with contextlib.suppress(asyncio.CancelledError):
            await heads

    def send(self, message: Message, besides: int | None = None) -> None:
        """Tell all workers, besides the one in this place."""
        for worker in self._workers:
            if worker.channel is not None and worker.place != besides:
                worker.channel.send(message)

    # What the lead says of them.

    def status(self) -> dict[str, int]:
        """For `/readyz`. The lead serves too and is counted."""
        serving = 1 + sum(worker.serves for worker in self._workers)
        return {"wanted": self.shared_state.workers, "serving": serving, "restarts": self.restarts}

    def faults(self) -> dict[str, str]:
        """What the workers say is wrong with them, and `worker-missing` while one does not serve."""
        told = {code: f"worker {w.place + 1}: {detail}" for w in self._workers for code, detail in w.faults.items()}
        status = self.status()
        missing = status["wanted"] - status["serving"]
        return {**told, "worker-missing": f"{missing} of {status['wanted']}"} if missing else told

    @property
    def restarts(self) -> int:
        """How often a worker ended and was started again."""
        return sum(worker.restarts for worker in self._workers)

    def heads(self) -> Mapping[str, str]:
        """Where each worker's audit trail ends, as last told; by the name its directory ends with."""
        return {f"w{worker.place + 1}": worker.head for worker in self._workers if worker.head is not None}

    def numbers(self) -> Iterable[Numbers]:
        """What the workers have counted, those included that have ended."""
        return [worker.counted + worker.numbers for worker in self._workers]

    async def collect(self) -> None:
        """Ask all workers for their numbers, and wait a moment for them."""
        asked = [worker for worker in self._workers if worker.serves]
        for worker in asked:
            worker.told.clear()
        self.send({"kind": "numbers"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                for worker in asked:
                    await worker.told.wait()

    # One worker.

    async def _keep(self, worker: Worker) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun = asyncio.get_running_loop().time()
            try:
                await self._live(worker)
            except OSError as error:  # no process, no descriptors to be had
                LOG.warning("worker %d cannot be started: %s", worker.place + 1, error)
            self.shared_state.announce_denial()
            self.shared_state.leave(worker.place)
            worker.ended()
            if self._stopping.is_set():
                return
            failures = 0 if asyncio.get_running_loop().time() - begun > LIVED_S else failures
            pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            LOG.warning("worker %d has ended; started again in %.1f s", worker.place + 1, pause)
            failures, worker.restarts = failures + 1, worker.restarts + 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _live(self, worker: Worker) -> None:
        """Start a process and hear it until it has ended."""
        ours, its = socket.socketpair()
        with its:
            fds = (its.fileno(), self.shared_state.fd, self.listening.fileno(), self._held)
            command = (
                sys.executable,
                "-P",
                "-m",
                MODULE,
                *map(str, (*fds[:3], worker.place, self.shared_state.workers)),
            )
            worker.process = await asyncio.create_subprocess_exec(*command, pass_fds=fds)
        worker.channel = await Channel.over(ours)
        worker.channel.send({"kind": "orders", "orders": self._orders})
        if self._stopping.is_set():
            _signal(worker, signal.SIGTERM)
        try:
            while (message := await worker.channel.receive()) is not None:
                self._heard(worker, message)
            await worker.process.wait()
        finally:
            worker.channel.close()
            _signal(worker, signal.SIGKILL)

    def _heard(self, worker: Worker, message: Message) -> None:
        worker.silent = 0
        match message["kind"]:
            case "serving":
                worker.serves = True
            case "numbers":
                worker.numbers, worker.head = read_numbers(message["numbers"]), message["head"]
                worker.faults = message["faults"]
                worker.told.set()
            case "tell":
                self.send(message, besides=worker.place)
                self._hear(message)
            case _:
                self._hear(message)

    async def _keep_heads(self) -> None:
        while True:
            await asyncio.sleep(HEADS_EVERY_S)
            self.end_frozen()
            await self.collect()

    def end_frozen(self) -> None:
        """End a worker that serves and answers no message: half of the connections hang there. It starts again."""
        for worker in self._workers:
            worker.silent += worker.serves
            if worker.silent >= FROZEN_AFTER:
                LOG.warning("worker %d is silent; it is ended", worker.place + 1)
                _signal(worker, signal.SIGKILL)


async def hold(home: Path) -> int:
    """Be the only run of this POP from now on: its lock, to be passed on to every further process.

    Waits a moment for an earlier run's workers. Raises: Unavailable("pop-running").
    """
    held = _open_lock(home)
    for _ in range(int(PREDECESSOR_S / 0.05)):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        await asyncio.sleep(0.05)
    os.close(held)
    raise Unavailable("pop-running", f"another run of {home.name} has not ended")


def _open_lock(home: Path) -> int:
    home.mkdir(parents=True, exist_ok=True)
    return os.open(home / RUNNING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _signal(worker: Worker, number: signal.Signals) -> None:
    if worker.process is not None and worker.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(number)
