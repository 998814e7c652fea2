"""Follows the revocation log: asks by number, has the answer judged, applies it, says how fresh this POP is.

The numbered poll is the truth: it alone moves the position and freshness. An answer counts as fresh only once the
position has reached its head, from when its poll was sent. A refused answer changes nothing; one that only the log
itself can have caused (`judge.ALARMS`) also ends freshness at once. A `judge.LASTING` one is noted on the disk: this
POP personalises nothing until an operator accepts the log, or a signed succession that covers it arrives.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import TypeVar

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.log_head import HEAD_HEADER, encode_head, is_succession
from consent_core.formats.revocation import (
    MAX_ANSWER_BYTES,
    MAX_SNAPSHOT_BYTES,
    ORIGIN,
    Answer,
    Point,
    Snapshot,
    head_of,
)
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.stores.followed_log import Position
from runtime_host.pop.sync.fetch import ControlPlane, Reply
from runtime_host.pop.sync.freshness import Freshness
from runtime_host.pop.sync.judge import ALARMS, LASTING, Judge

PATH = "/v1/revocations"
T = TypeVar("T")
COLLECTING = "log-collecting"
PAGE = 200  # entries asked for at once: about 20 ms of work between which requests are served
_LIMITS = {200: MAX_ANSWER_BYTES, 409: MAX_ANSWER_BYTES, 410: MAX_SNAPSHOT_BYTES}


def random_nonce() -> str:
    """128 bits that no earlier answer can have been signed over."""
    return secrets.token_urlsafe(16)


class LogFollower:
    """One POP's reader of the log. `_gap`: whether the last answer left something out, not so since a good one.

    `collecting`: the log of a restored control plane that asked for what this POP kept.
    """

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
        self._gap = False
        self.collecting: str | None = None

    @property
    def alarm(self) -> str | None:
        """The code of what the log said that cannot be."""
        return self._store.log.position.alarm or ("log-gap" if self._gap else None)

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
        known = self._store.log.read_position()
        reply = await self._control_plane.get(PATH, _question(known, nonce), _shown(known), limit=_LIMITS)
        crash_point("log-answered")
        try:
            if reply.status == 409 and is_succession(reply.body):
                await self._follow(reply, nonce)
                return (), True
            answer = self._judged(reply, nonce)
        except Untrusted as error:
            await self._note(error.code)
            raise
        try:
            changes = await self._take(answer, reply.body)
        except Unavailable:  # a full disk, say: what is known and cannot be enforced closes
            self._freshness.lose()
            raise
        more = self._store.log.position.position < answer.head
        if not more:
            self._freshness.renew(sent, answer.at)
            self._gap = False
        return changes, more

    async def _follow(self, reply: Reply, nonce: str) -> None:
        """Go on in the log that takes this one's place, which an operator has approved."""
        known = self._store.log.position
        succession = self._judge.succession(reply.body, nonce, known, self._clock.now())
        await self._written(lambda: self._store.follow(succession))
        self._gap = False

    async def _note(self, code: str) -> None:
        """Fail closed at what cannot be, for good at what time does not heal."""
        if code in ALARMS:
            self._freshness.lose()
            self._gap = code not in LASTING
        if code in LASTING:
            now = self._clock.now()
            await self._written(lambda: self._store.log.raise_alarm(code, now))

    def _judged(self, reply: Reply, nonce: str) -> Answer | Snapshot:
        known, now = self._store.log.position, self._clock.now()
        if reply.status == 410:
            answer: Answer | Snapshot = self._judge.snapshot(reply.body, nonce, known, now)
        elif reply.status in (200, 409):
            answer = self._judge.answer(reply.body, nonce, known, now)
        elif reply.status == 423:
            self.collecting = _asking_origin(reply.body)
            raise Unavailable(COLLECTING, "a restore is under way")
        else:
            raise Unavailable("control-plane-failed", f"the log answered {reply.status}")
        if known.alarm is not None:  # nothing that this log says heals it
            raise Untrusted(known.alarm, "the log was refused before; an operator must accept it")
        return answer

    async def _take(self, answer: Answer | Snapshot, raw: bytes) -> tuple[Change, ...]:
        """Apply an answer. One that says nothing new writes nothing, but the first one pins the log's origin."""
        known = self._store.log.position
        head, place = Point(answer.head, answer.chain), Point(known.position, known.chain)
        if isinstance(answer, Snapshot):
            place = Point(answer.through, answer.through_chain)
        elif answer.entries:
            place = head_of(answer.entries, place)
        if place.number == known.position and known.origin is not None:
            return ()
        return await self._written(
            lambda: self._store.apply(answer.entries, answer.origin, place, head, answer.at, raw)
        )

    async def _written(self, change: Callable[[], T]) -> T:
        return await self._store.database.writer.run(change, alone=True)


def _asking_origin(body: bytes) -> str | None:
    """Which log asks for what was kept; it is not signed: what is sent goes to whom the poll went to."""
    try:
        origin = json.loads(body)["origin"]
    except (ValueError, KeyError, TypeError):
        return None
    return origin if isinstance(origin, str) and ORIGIN.fullmatch(origin) else None


def _question(known: Position, nonce: str) -> dict[str, str | int]:
    """What follows this POP's place, in the log that it follows."""
    asked: dict[str, str | int] = {"after": known.position, "chain": known.chain, "nonce": nonce, "wait": 0}
    return {**asked, "limit": PAGE} if known.origin is None else {**asked, "limit": PAGE, "origin": known.origin}


def _shown(known: Position) -> dict[str, str]:
    """The highest head that was signed for this POP: a control plane that has forgotten it learns so."""
    return {} if known.shown is None else {HEAD_HEADER: encode_head(known.shown)}
