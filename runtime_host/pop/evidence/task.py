"""The one task beside a POP that attests: looks once a second, makes what is due, searches, sends.

task = EvidenceTask(attester, sending, seeing, (searcher, deleter), before, failed)
await task.run();  await task.stop()       # `stop` attests the end, and tries once to send it
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from consent_core.errors import ConsentEdgeError
from runtime_host.pop.evidence.attesting import Attester
from runtime_host.pop.evidence.seeing import Seeing
from runtime_host.pop.evidence.sending import Sending

LOOK_EVERY_S = 1.0
RETRY_S = 5.0  # after the control plane did not answer
STOP_S = 2.0  # a stop waits no longer for its last attestation to be taken


class Statements(Protocol):
    """Who states something about people: what was searched, what was deleted."""

    def state(self) -> int:
        """Make the statements that are owed; how many."""
        ...


class EvidenceTask:
    """One POP's. `before()`: awaited before an attestation, so that the trails' heads are fresh.

    `failed`: told of what fails; the next look goes on. `_pause`: looks until the control plane is asked again.
    """

    def __init__(
        self,
        attester: Attester,
        sending: Sending,
        seeing: Seeing,
        statements: Sequence[Statements],
        before: Callable[[], Awaitable[None]],
        failed: Callable[[ConsentEdgeError], None],
    ) -> None:
        self._attester = attester
        self._sending = sending
        self._seeing = seeing
        self._statements = statements
        self._before = before
        self._failed = failed
        self._pause = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(LOOK_EVERY_S)

    async def step(self) -> None:
        """One look, and what follows from it."""
        self._pause -= LOOK_EVERY_S
        try:
            if self._pause <= 0:
                await self._sending.enrol()
            due = self._attester.look()
            if due is not None:
                await self._attest(due)
            if self._pause <= 0:
                await self._sending.send()
        except ConsentEdgeError as error:
            self._failed(error)
            self._pause = RETRY_S

    async def stop(self) -> None:
        """Attest the end. What is not answered in time is sent at the next start."""
        if not self._attester.ready:
            return
        try:
            self._attester.attest("stop")
            async with asyncio.timeout(STOP_S):
                await self._sending.send()
        except (ConsentEdgeError, TimeoutError):
            return

    async def _attest(self, kind: str) -> None:
        await self._before()
        await self._look_at_ledger()
        self._attester.attest(kind)
        for stating in self._statements:
            await asyncio.to_thread(stating.state)

    async def _look_at_ledger(self) -> None:
        """A ledger that cannot be believed now leaves the last one seen; it is counted, and attested by its absence."""
        try:
            self._attester.seen = await self._seeing.look(self._attester.seen)
        except ConsentEdgeError as error:
            self._failed(error)
