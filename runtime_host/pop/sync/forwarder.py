"""Carries withdrawals said at this POP to the control plane: every one, many in a request, counted once.

The idempotency key was chosen with the withdrawal. A process killed between the answer and noting it sends the same
key again. What the control plane will never take (an unknown session, say) is noted as refused: it stays in force here.

    forwarder.start(); await forwarder.ended(withdrawal)    # by a request that waits for one of them
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.formats.withdrawals import CONTENT_TYPE, MAX_ANSWER_BYTES, WithdrawalRow, read_answers, write_rows
from runtime_host.pop.stores import PopStore, Withdrawal
from runtime_host.pop.stores.outbox import Batch
from runtime_host.pop.sync.fetch import ControlPlane, Reply

PATH = "/v1/withdrawals"
TIMEOUT_S = 30.0  # for one request: 256 rows take the control plane 0.13 s of one core, more where that is busy
MAX_UNDER_WAY = 4  # requests at once: the control plane works on one while the next ones travel

T = TypeVar("T")
NOTHING = Batch("", ())
Ended = tuple[Withdrawal, int | str]  # the version that the control plane has now, or the code it refuses with


class Forwarder:
    """Empties one POP's outbox. `_sending`: the task under way, one at a time; `_awaited`: who waits for a row."""

    def __init__(self, pop: str, store: PopStore, control_plane: ControlPlane) -> None:
        self._pop = pop
        self._store = store
        self._control_plane = control_plane
        self._sending: asyncio.Task[int] | None = None
        self._awaited: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def forward(self) -> int:
        """Send what is pending; how many ended. Raises: Unavailable, Untrusted("consent-answer"): the rest waits."""
        return await asyncio.shield(self.start())

    def start(self) -> "asyncio.Task[int]":
        """See that what is pending is being sent; also what was added a moment ago."""
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_all())
            self._sending.add_done_callback(self._stopped)
        return self._sending

    def ended(self, withdrawal: Withdrawal) -> "asyncio.Future[None]":
        """Done once the control plane has this one. Raises: Unavailable if that has to wait."""
        return self._awaited.setdefault(_name(withdrawal), asyncio.get_running_loop().create_future())

    async def tell(self, withdrawals: Sequence[Withdrawal]) -> tuple[Ended, ...]:
        """Tell the control plane of withdrawals that are on no disk here. Raises: Unavailable, Untrusted."""
        return tuple(await self._ask(withdrawals))

    async def _send_all(self) -> int:
        under_way: set[asyncio.Task[int]] = set()
        done: set[asyncio.Task[int]] = set()
        ended = 0
        try:
            while True:
                while len(under_way) < MAX_UNDER_WAY and (batch := await self._claim()).withdrawals:
                    under_way.add(asyncio.create_task(self._send(batch)))
                if not under_way:
                    return ended
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                ended += sum(task.result() for task in done)
        finally:
            await _give_up(under_way | done)  # of those that are done, more than one may have failed

    async def _send(self, batch: Batch) -> int:
        try:
            ended = await self._ask(batch.withdrawals)
        except BaseException:
            with suppress(ConsentEdgeError):  # a disk that refuses: the lease runs out
                await self._written(lambda: self._store.outbox.release(batch))
            raise
        await self._written(lambda: self._store.forwarded(ended))
        crash_point("outbox-noted")
        for withdrawal, _ in ended:
            if (awaited := self._awaited.pop(_name(withdrawal), None)) is not None and not awaited.done():
                awaited.set_result(None)
        return len(ended)

    async def _claim(self) -> Batch:
        """Rows to send. An outbox without any is not written to."""
        if not self._store.outbox.waiting()[0]:
            return NOTHING
        return await self._written(self._store.outbox.claim)

    async def _written(self, change: Callable[[], T]) -> T:
        return await self._store.database.writer.run(change, durable=False)

    async def _ask(self, withdrawals: Sequence[Withdrawal]) -> list[Ended]:
        """One request. A refusal of the whole is of one row: the halves are sent apart until it is found."""
        body = write_rows(self._row(withdrawal) for withdrawal in withdrawals)
        crash_point("outbox-sending")
        reply = await self._control_plane.send("POST", PATH, body, CONTENT_TYPE, MAX_ANSWER_BYTES)
        crash_point("outbox-answered")
        if reply.status < 300:
            answers = read_answers(reply.body, [withdrawal.key for withdrawal in withdrawals])
            return [(w, a.ver if a.code is None else a.code) for w, a in zip(withdrawals, answers, strict=True)]
        if len(withdrawals) == 1:
            return [(withdrawals[0], _code(reply))]
        middle = len(withdrawals) // 2
        return await self._ask(withdrawals[:middle]) + await self._ask(withdrawals[middle:])

    def _row(self, withdrawal: Withdrawal) -> WithdrawalRow:
        w = withdrawal
        return WithdrawalRow(w.key, w.withdraw, w.session, w.subject, w.number, w.categories, self._pop, w.at)

    def _stopped(self, task: "asyncio.Task[int]") -> None:
        """Who still waits hears why; a failure that no request waited for is not one of the event loop."""
        if self._sending is not task:  # the next one has begun: they wait for that
            return
        error = None if task.cancelled() else task.exception()
        for awaited in self._awaited.values():
            if not awaited.done():
                awaited.set_exception(error or Unavailable("control-plane-unreachable", "it has to wait"))
                awaited.exception()
        self._awaited.clear()


async def _give_up(under_way: Iterable["asyncio.Task[int]"]) -> None:
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


def _name(withdrawal: Withdrawal) -> tuple[str, str]:
    return withdrawal.visitor, withdrawal.key


def _code(reply: Reply) -> str:
    """The control plane's own word for a refusal, or its status where it gave none."""
    try:
        return str(json.loads(reply.body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"http-{reply.status}"
