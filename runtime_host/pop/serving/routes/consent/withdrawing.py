"""A "no": in force here, durably, before anyone else is asked; then on its way to the control plane.

It holds for every session presented. A session that this POP does not know cannot be denied by its visitor: the token
that came with it is denied by its own text, in every worker, until it expires. Without a session the browser keeps it.
Nothing that comes along can refuse or delay it.
"""

import asyncio
from dataclasses import dataclass
from hashlib import sha256

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.formats.consent import BELIEVED, ConsentAnswer
from consent_core.formats.refusals import MAX_NUMBER, Refusal
from consent_core.formats.session import Credentials
from consent_core.http.answers import Answer, Header, error_answer
from consent_core.http.asgi import read_json
from runtime_host.pop.serving.pipeline import Pipeline
from runtime_host.pop.serving.routes.consent.asking import Asked, key_of, legacy_of
from runtime_host.pop.serving.routes.consent.keeping import canonical_key, everything
from runtime_host.pop.serving.routes.consent.room import Room
from runtime_host.pop.serving.routes.request_bodies import MAX_BRACKETS, MAX_CONSENT_BYTES, No, read_no
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import DeniedText, Session, Withdrawal

WITHIN_S = 1.0  # how long a "no" waits for the control plane's answer


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a "no". `answer`: the control plane's state after it, None while that is not known."""

    status: int
    headers: tuple[Header, ...]
    answer: ConsentAnswer | None = None
    error: Unavailable | None = None


class Withdrawing:
    """`DELETE /v1/consent`."""

    def __init__(self, room: Room, pipeline: Pipeline, clock: Clock) -> None:
        self._room = room
        self._pipeline = pipeline
        self._clock = clock

    async def withdraw(self, call: Call) -> Answer:
        """Take categories back. 200 with what is left; 202 while the control plane has yet to hear of it.

        Raises: Rejected("bad-request") for categories that cannot be read. A disk that does not keep the "no" and a
        control plane that cannot be told: 503 `store-io`, and the token goes.
        """
        no = read_no(await read_json(call.receive, MAX_CONSENT_BYTES, MAX_BRACKETS))
        asked = await self._room.asker.identify(call)
        said = await self.say(asked, no, key_of(call.headers))
        if said.error is not None:
            return error_answer(said.error, *said.headers)
        room = self._room
        owner = room.asker.owner(asked.sessions[0]) if asked.sessions else None
        if said.answer is not None:
            state = room.states.told(asked, owner, said.answer)
            token = said.answer.token
        else:
            state = room.states.here(asked, owner, frozenset(everything(no.categories)))
            token = None
        if said.status == 202:
            state["pending"] = True
        return await room.bundling.answer(asked, state, no.bundled, token, *said.headers, status=said.status)

    async def say(self, asked: Asked, no: No, key: str) -> Said:
        """Put it in force and see how far it comes within a moment."""
        key = key if asked.by_module else canonical_key(key)
        noes = tuple(self._withdrawal(asked, no, key, session) for session in asked.sessions)
        gone = (self._room.records.clear_token(), *self._kept(asked, no, key))
        if not noes:
            return Said(200, gone)
        try:
            await self._room.outgoing.say(*noes, text=self._text(asked, noes))
        except Unavailable as error:
            return await self._told_at_once(asked, noes, gone, error)
        for subject in {withdrawal.subject for withdrawal in noes if withdrawal.subject}:
            self._pipeline.recent.forget(subject)
        return await self._settled(asked, noes, gone)

    async def _settled(self, asked: Asked, noes: tuple[Withdrawal, ...], gone: tuple[Header, ...]) -> Said:
        room = self._room
        try:
            async with asyncio.timeout(WITHIN_S):
                if not await room.outgoing.has_forwarded(noes, WITHIN_S):
                    return Said(202, gone)
                if len(asked.sessions) > 1:
                    return Said(200, gone)
                session = asked.sessions[0]
                answer = await room.records.refresh(asked, session)
        except TimeoutError:
            return Said(202, gone)
        except ConsentEdgeError:  # it arrived; what is left of the record can be asked for later
            return Said(200, gone)
        newest = room.asker.owner(session)
        if newest is not None and newest.ver > answer.ver:
            return Said(200, gone)
        token, *_ = await room.records.adopt(asked, answer, session, presented=True)
        return Said(200, (token, *gone[1:]), answer)

    async def _told_at_once(
        self, asked: Asked, noes: tuple[Withdrawal, ...], gone: tuple[Header, ...], error: Unavailable
    ) -> Said:
        """The disk refuses. What the control plane takes holds everywhere; else nothing may be promised."""
        asked.context.code = error.code
        self._pipeline.count(error)
        try:
            if await self._room.outgoing.tell_at_once(noes):
                return Said(200, gone)
        except ConsentEdgeError:
            pass
        return Said(error.status, gone, error=error)

    def _withdrawal(self, asked: Asked, no: No, key: str, session: Credentials) -> Withdrawal:
        owner = self._room.asker.owner(session)
        return Withdrawal(
            key,
            session.withdraw,
            None if owner is None else owner.subject,
            0 if owner is None else _below(asked, no.number, owner),
            no.categories,
            no.number,
            legacy_of(session),
            self._clock.now(),
        )

    def _text(self, asked: Asked, noes: tuple[Withdrawal, ...]) -> DeniedText | None:
        """The presented token, where this POP cannot tell that it belongs to one of these visitors."""
        known, text = asked.visit.known, asked.visit.text
        owners = {withdrawal.subject for withdrawal in noes}
        if known is None or text is None or known.subject in owners or None not in owners:
            return None
        return DeniedText(sha256(text).hexdigest(), known.claims.exp)

    def _kept(self, asked: Asked, no: No, key: str) -> list[Header]:
        """The browser's own refusal, for who has no module to keep it."""
        number = no.number or _next_number(asked, [self._room.asker.owner(session) for session in asked.sessions])
        said = Refusal(min(number, MAX_NUMBER), everything(no.categories), key, self._clock.now())
        return self._room.refusal_cookie.after_no(asked, said)


def _below(asked: Asked, number: int | None, owner: Session) -> int:
    """Every token that this "no" can mean: below its own number, and below the one presented with it.

    Never by anything else that this POP knows: a later yes may be on its way to this very browser.
    """
    known = asked.visit.known
    presented = known.claims.ver + 1 if known is not None and known.subject == owner.subject else 0
    if number is not None and (owner.ver == 0 or number <= owner.ver + BELIEVED):
        return max(number, presented)
    return max(presented, owner.ver + 1)


def _next_number(asked: Asked, owners: list[Session | None]) -> int:
    """A number for the cookie of a "no" that has none: above what its browser can know; 0 where nothing is known."""
    known = [owner.ver for owner in owners if owner is not None]
    if asked.visit.known is not None:
        known.append(asked.visit.known.claims.ver)
    return max(known) + 1 if known and asked.sessions else 0
