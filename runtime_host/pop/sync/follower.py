"""Follows the revocation log: asks by number, has the answer judged, applies it, says how fresh this POP is.

The numbered poll is the truth: it alone moves the position and freshness. An answer counts as fresh only once the
position has reached its head, from when its poll was sent. A refused answer changes nothing; one that only the log
itself can have caused (`judge.ALARMS`) also ends freshness at once.
"""

import asyncio
import secrets
from collections.abc import Callable

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.revocation import MAX_ANSWER_BYTES, MAX_SNAPSHOT_BYTES, Answer, Snapshot
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.sync.fetch import ControlPlane, Reply
from runtime_host.pop.sync.freshness import Freshness
from runtime_host.pop.sync.judge import ALARMS, Judge

PATH = "/v1/revocations"
PAGE = 200  # entries asked for at once: about 20 ms of work between which requests are served
_LIMITS = {200: MAX_ANSWER_BYTES, 410: MAX_SNAPSHOT_BYTES}


def random_nonce() -> str:
    """128 bits that no earlier answer can have been signed over."""
    return secrets.token_urlsafe(16)


class LogFollower:
    """One POP's reader of the log. `alarm`: the code of the last impossible answer, None since a good one."""

    def __init__(
        self,
        store: PopStore,
        judge: Judge,
        control_plane: ControlPlane,
        freshness: Freshness,
        clock: Clock,
        nonce: Callable[[], str] = random_nonce,
    ) -> None:
        self._store = store
        self._judge = judge
        self._control_plane = control_plane
        self._freshness = freshness
        self._clock = clock
        self._nonce = nonce
        self._asking = asyncio.Lock()
        self.alarm: str | None = None

    async def poll(self) -> tuple[Change, ...]:
        """Ask until the log's head is reached; what is newly in force.

        Raises: Untrusted (the answer is refused, nothing changed by it), Unavailable (no answer).
        """
        changes: list[Change] = []
        behind = False
        async with self._asking:
            while True:
                try:
                    new, behind = await self._ask()
                except ConsentEdgeError:
                    if behind:  # the log has entries that are not here: an earlier answer's freshness is no excuse
                        self._freshness.lose()
                    raise
                changes += new
                if not behind:
                    return tuple(changes)

    async def _ask(self) -> tuple[tuple[Change, ...], bool]:
        nonce, sent = self._nonce(), self._clock.elapsed()
        after = self._store.revocations.position.position
        question: dict[str, str | int] = {"after": after, "nonce": nonce, "wait": 0, "limit": PAGE}
        reply = await self._control_plane.get(PATH, question, limit=_LIMITS)
        crash_point("log-answered")
        try:
            answer = self._judged(reply, nonce)
        except Untrusted as error:
            if error.code in ALARMS:
                self._freshness.lose()
                self.alarm = error.code
            raise
        try:
            changes = self._take(answer)
        except Unavailable:  # a full disk, say: what is known and cannot be enforced closes
            self._freshness.lose()
            raise
        more = self._store.revocations.position.position < answer.head
        if not more:
            self._freshness.renew(sent, answer.at)
            self.alarm = None
        return changes, more

    def _judged(self, reply: Reply, nonce: str) -> Answer | Snapshot:
        known, now = self._store.revocations.position, self._clock.now()
        if reply.status == 200:
            return self._judge.answer(reply.body, nonce, known, now)
        if reply.status == 410:
            return self._judge.snapshot(reply.body, nonce, known, now)
        if reply.status == 409:  # unsigned, but it only ever closes
            raise Untrusted("log-rewind", f"the log says that it never gave entry {known.position}")
        raise Unavailable("control-plane-failed", f"the log answered {reply.status}")

    def _take(self, answer: Answer | Snapshot) -> tuple[Change, ...]:
        """Apply an answer. One that says nothing new writes nothing, but the first one pins the log's origin."""
        known = self._store.revocations.position
        if isinstance(answer, Snapshot):
            entries, position = answer.entries, answer.through
        else:
            entries = answer.entries
            position = entries[-1].seq if entries else known.position
        if position == known.position and known.origin is not None:
            return ()
        return self._store.apply(entries, answer.origin, position, answer.head, answer.at)
