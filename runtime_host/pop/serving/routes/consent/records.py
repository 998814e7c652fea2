"""The control plane's record as this POP asks for it, and what an answer leaves behind here: cookies and memory."""

import json
import re

from consent_core.audit.recording import AuditContext
from consent_core.clock import Clock
from consent_core.errors import Rejected, Unavailable
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, RefreshRequest, read_answer, write_request
from consent_core.formats.session import Credentials, stored
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.http.answers import Header
from runtime_host.pop.serving.last_answers import LastAnswer
from runtime_host.pop.serving.pipeline import Pipeline
from runtime_host.pop.serving.routes.consent.asking import Asked, PopIdentity
from runtime_host.pop.serving.routes.consent.state import States
from runtime_host.pop.stores import PopStore, Session
from runtime_host.pop.sync.fetch import ControlPlane, Reply

CONSENTS = "/v1/consents"
REFRESH = "/v1/consents/-/refresh"  # the session alone says whose
SESSION_LIFE_S = 180 * 86_400  # if the control plane does not say how long a record is kept

_CODE = re.compile(r"[a-z0-9-]{1,64}")


class Records:
    """Asks the control plane, and adopts what it answers."""

    def __init__(
        self, here: PopIdentity, clock: Clock, plane: ControlPlane, store: PopStore, states: States,
        pipeline: Pipeline,
    ) -> None:  # fmt: skip
        self._here = here
        self._clock = clock
        self._plane = plane
        self._store = store
        self._states = states
        self._pipeline = pipeline

    async def refresh(self, asked: Asked, session: Credentials) -> ConsentAnswer:
        """A fresh token without what this browser refused. Raises: Rejected (the control plane's), Unavailable."""
        refused = {name: number for name, number in asked.refusals.numbers().items() if name in CATEGORIES}
        request = RefreshRequest(session.grant, asked.jurisdiction, asked.gpc, self._here.pop, refused, session.legacy)
        return _opened(await self._plane.send("POST", REFRESH, write_request(request)))

    async def record(self, request: ConsentRequest) -> ConsentAnswer:
        """Have a yes recorded. Raises: Rejected (the control plane's), Unavailable."""
        return _opened(await self._plane.send("POST", CONSENTS, write_request(request)))

    async def adopt(self, asked: Asked, answer: ConsentAnswer, session: Credentials, presented: bool) -> list[Header]:
        """Remember whose session this is and what holds; the token cookie that goes with it.

        A disk that refuses now loses nothing but memory: what was recorded is recorded, and is answered as such.
        """
        subject = subject_of(answer.sub)
        _say(asked.context, subject, answer)
        legacy = None if session.legacy is None else stored(session.legacy)
        self._states.remember(session, LastAnswer(answer, asked.refusals.categories, presented))
        self._pipeline.recent.forget(subject)
        kept = self._kept(session, subject, answer)
        try:
            await self._store.database.writer.run(lambda: self._store.sessions.remember(kept, legacy), durable=False)
        except Unavailable as error:
            self.count(error)
        if answer.token is None or answer.expires_at is None or asked.refusals.broken:
            return [self.clear_token()]
        life = max(0, answer.expires_at - self._clock.now())
        return [(b"set-cookie", self._here.cookies.set_token(answer.token, life))]

    def count(self, error: Unavailable) -> None:
        """Count what went wrong although the visitor is answered."""
        self._pipeline.count(error)

    def clear_token(self) -> Header:
        """Takes the token from the browser."""
        return (b"set-cookie", self._here.cookies.set_token("", 0))

    def clear_session(self) -> Header:
        """Takes the session from the browser, which no answer does but to a visitor who was erased."""
        return (b"set-cookie", self._here.cookies.set_session("", 0))

    def session_cookie(self, secret: str, answer: ConsentAnswer) -> Header:
        """Gives the browser its next session."""
        return (b"set-cookie", self._here.cookies.set_session(secret, session_life(answer)))

    def _kept(self, session: Credentials, subject: str, answer: ConsentAnswer) -> Session:
        until = self._clock.now() + session_life(answer)
        return Session(stored(session.grant), subject, answer.ver, until)


def session_life(answer: ConsentAnswer) -> int:
    """Seconds for which a record and its cookies are kept."""
    return answer.retention.get("consent", SESSION_LIFE_S)


def _say(context: AuditContext, subject: str, answer: ConsentAnswer) -> None:
    context.about(subject, (("sub", answer.sub), ("ver", answer.ver)))


def _opened(reply: Reply) -> ConsentAnswer:
    """The control plane's answer; its refusals are passed on under their own code."""
    if reply.status < 300:
        return read_answer(reply.body)
    try:
        error = json.loads(reply.body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError) as failure:
        raise Unavailable("control-plane-failed", f"the control plane answered {reply.status}") from failure
    if not _CODE.fullmatch(code):
        raise Unavailable("control-plane-failed", "the control plane refused without a code")
    raise Rejected(code, message, status=reply.status)
