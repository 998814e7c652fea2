"""What holds now: `GET /v1/consent`, `POST /v1/consent/refresh`, and the stream that tells open pages of changes."""

from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.session import Credentials
from consent_core.http.answers import Answer, Header, json_answer
from consent_core.http.asgi import read_json
from runtime_host.pop.serving.routes.consent.asking import Asked
from runtime_host.pop.serving.routes.consent.room import Room
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Session

SETTLE_WITHIN_S = 1.0  # how long a fresh token waits for what was taken back here to arrive
MAX_BODY_BYTES = 16_384


class Reading:
    """Handlers that change nothing but what a browser carries."""

    def __init__(self, room: Room) -> None:
        self._asker = room.asker
        self._states = room.states
        self._records = room.records
        self._carried = room.carried
        self._refusal_cookie = room.refusal_cookie

    async def read(self, call: Call) -> Answer:
        """What holds now. With a session and no usable token the control plane is asked, if it can be."""
        asked = await self._asker.ask(call)
        if asked.speculative or len(asked.sessions) != 1:
            code = () if len(asked.sessions) < 2 else (code_header("cookie-conflict"),)
            return json_answer(self._states.here(asked, None), *code)
        session = asked.sessions[0]
        try:
            owner = await self._take(asked, session)
            if not self._is_due(asked, session, owner):
                return json_answer(self._states.here(asked, owner))
            return await self._refreshed(asked, session, owner)
        except Rejected as error:
            return self._unknown(asked, error)
        except ConsentEdgeError as error:
            return json_answer(self._states.here(asked, self._asker.owner(session)), code_header(error.code))

    async def refresh(self, call: Call) -> Answer:
        """A fresh token. Raises: Rejected("session-missing", 401) and what the control plane says of the session."""
        await read_json(call.receive, MAX_BODY_BYTES)
        asked = await self._asker.ask(call)
        session = asked.required_session()
        return await self._refreshed(asked, session, await self._take(asked, session))

    async def _take(self, asked: Asked, session: Credentials) -> Session | None:
        owner = self._asker.owner(session)
        await self._carried.take(asked, session, owner)
        return owner

    def _is_due(self, asked: Asked, session: Credentials, owner: Session | None) -> bool:
        """Whether the control plane has something to tell that this POP and the browser's cookies do not."""
        last = self._states.last(session)
        if last is None or not last.presented or asked.visit.grant.refresh:
            return True
        if asked.refusals.categories != last.refused:
            return True
        if owner is not None and (owner.ver > last.answer.ver or self._states.pending(owner)):
            return True
        return asked.visit.known is None and last.answer.token is not None

    async def _refreshed(self, asked: Asked, session: Credentials, owner: Session | None) -> Answer:
        """A fresh answer, unless a "no" of this visitor is still on its way: then what holds here."""
        if not await self._carried.settle(owner, SETTLE_WITHIN_S):
            return json_answer(self._states.here(asked, owner))
        answer = await self._records.refresh(asked, session)
        owner = self._asker.owner(session)
        if (owner is not None and owner.ver > answer.ver) or _is_older(asked, answer.sub, answer.ver):
            return json_answer(self._states.here(asked, owner))  # overtaken by a later change: it changes no cookie
        headers = await self._records.adopt(asked, answer, session, presented=True)
        if owner is None:  # its refusals count now that this POP knows whose they are
            owner = await self._take(asked, session)
        return json_answer(self._states.told(asked, owner, answer), *headers)

    def _unknown(self, asked: Asked, error: Rejected) -> Answer:
        """The control plane does not take this session. It stays in the browser: another copy may have moved on."""
        gone = [] if error.code == "session-rotated" else [self._records.clear_token()]
        if asked.erased:
            gone += [self._records.clear_session(), *self._refusal_cookie.clear()]
        return json_answer(self._states.here(asked, None), code_header(error.code), *gone)


def _is_older(asked: Asked, sub: str, ver: int) -> bool:
    known = asked.visit.known
    return known is not None and known.claims.sub == sub and known.claims.ver > ver


def code_header(code: str) -> Header:
    """Says beside an answer what could not be done for it."""
    return (b"consent-edge-code", code.encode("ascii"))
