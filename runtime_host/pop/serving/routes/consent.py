"""`/v1/consent`: a visitor's own consent, spoken for by the secret in their session cookie.

    GET      what holds now; fetches a fresh token where one is due
    POST     a choice: the control plane records it, the session secret rotates
    DELETE   a "no": in force here, durably, before anyone else is asked; forwarded from the outbox
    POST refresh   a fresh token for unchanged choices

The secret leaves this module only in a Set-Cookie; stores and control plane see its SHA-256. A token is never put
into a body, and a cookie is never replaced by a token of a lower version.
"""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any, Protocol

from consent_core.audit.recording import AuditContext
from consent_core.clock import Clock
from consent_core.decision.credentials import find_cookie
from consent_core.decision.grant import jurisdiction_of
from consent_core.decision.request import Headers, honours_gpc, is_speculative
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, RefreshRequest, read_answer, write_request
from consent_core.formats.session import Credentials, credentials_of, stored
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import WithdrawalRow, write_row
from consent_core.http.answers import (
    Answer,
    Header,
    Streaming,
    compressed,
    error_answer,
    json_answer,
)
from consent_core.http.asgi import read_json
from runtime_host.pop.serving.cookies import CookieNames, new_secret
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.last_answers import LastAnswers
from runtime_host.pop.serving.pipeline import Pipeline, Visit
from runtime_host.pop.serving.routes.bundled import BundledDecisions, decide_bundled
from runtime_host.pop.serving.routes.request_bodies import read_grant, read_refusal
from runtime_host.pop.serving.routes.stream import Listener, Streams
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Session, Withdrawal
from runtime_host.pop.stores.sessions import Sessions
from runtime_host.pop.sync.fetch import ControlPlane, Reply

CONSENTS = "/v1/consents"
REFRESH = "/v1/consents/-/refresh"  # the session alone says whose
FORWARD_WITHIN_S = 1.0  # how long a partial "no" waits for the token of what is left
SESSION_LIFE_S = 180 * 86_400  # if the control plane does not say how long a record is kept

_CODE = re.compile(r"[a-z0-9-]{1,64}")

State = dict[str, Any]
Told = tuple[State, list[Header]]  # a state and the cookies that go with it


class Outgoing(Protocol):
    """The part of the sync room that withdrawals need."""

    def withdraw(self, withdrawal: Withdrawal) -> None:
        """Put a "no" in force here, durably. Raises: Unavailable."""
        ...

    async def forward(self) -> int:
        """Forward what was withdrawn. Raises: Unavailable, Untrusted."""
        ...


@dataclass(frozen=True, slots=True)
class PopIdentity:
    """Who this POP is and which law it applies."""

    pop: str
    jurisdiction: str
    geo_header: bytes | None
    cookies: CookieNames
    max_body: int
    age_band: str


class ConsentRoutes:
    """The handlers of `/v1/consent`. `answers`: each session's last one, for as long as memory allows."""

    def __init__(
        self,
        locality: PopIdentity,
        clock: Clock,
        pipeline: Pipeline,
        delivery: Delivery,
        sessions: Sessions,
        outgoing: Outgoing,
        control_plane: ControlPlane,
        streams: Streams,
        answers: LastAnswers,
    ) -> None:
        self._here = locality
        self._clock = clock
        self._pipeline = pipeline
        self._delivery = delivery
        self._sessions = sessions
        self._outgoing = outgoing
        self._control_plane = control_plane
        self._streams = streams
        self._states = answers

    async def read(self, call: Call) -> Answer:
        """What holds now. With a session and no usable token the control plane is asked, if it can be."""
        visit, session = await self._identify(call), self._session(call.headers)
        if session is not None and not is_speculative(call.headers) and self._is_due(visit, session):
            try:
                return _told(await self._refresh(call, visit, session))
            except Rejected as error:
                return self._forgotten(call, visit, error)
            except ConsentEdgeError as error:
                return json_answer(self._state(call, visit, session), _code(error.code))
        return json_answer(self._state(call, visit, session))

    async def refresh(self, call: Call) -> Answer:
        """A fresh token. Raises: Rejected("session-missing", 401) and what the control plane says of the session."""
        await read_json(call.receive, self._here.max_body)
        visit = await self._identify(call)
        return _told(await self._refresh(call, visit, self._require_session(call.headers)))

    async def grant(self, call: Call) -> Answer:
        """Record a choice. Raises: Rejected (of the body, or the control plane's), Unavailable."""
        wish = read_grant(await read_json(call.receive, self._here.max_body), self._here.age_band)
        current, secret = self._credentials(call.headers), new_secret()
        following = credentials_of(secret.encode())
        await self._take_back(current, wish.choices)
        request = ConsentRequest(
            session=None if current is None else current.grant,
            next_session=stored(following.grant),
            next_withdraw=stored(following.withdraw),
            key=secrets.token_urlsafe(24),
            grant=wish.choices,
            jurisdiction=self._jurisdiction(call.headers),
            gpc=honours_gpc(call.headers),
            age_band=wish.age_band,
            pop=self._here.pop,
            source=wish.source,
            clause_id=wish.clause_id,
            legacy=None if current is None else current.legacy,
        )
        answer = _opened(await self._control_plane.send("POST", CONSENTS, write_request(request)))
        cookies = self._adopt(call.note, answer, following.withdraw, None if current is None else current.withdraw)
        cookies.append(self._session_cookie(secret, answer))
        state = self._public(answer, call)
        await self._accompany(state, call, wish.bundled, answer.token)
        self._streams.tell(subject_of(answer.sub), "consent")
        return _small(call, json_answer(state, *cookies))

    async def withdraw(self, call: Call) -> Answer:
        """Take categories back. 200 with a token for what is left, else 202: in force here, on its way.

        Raises: Rejected("session-missing", 401), Rejected("session-foreign", 403).
        A disk that does not keep the "no": 503 `store-io`, and the token goes.
        """
        refusal = read_refusal(await read_json(call.receive, self._here.max_body))
        categories = refusal.categories
        session, visit = self._require_session(call.headers), await self._identify(call, always=True)
        owner = self._sessions.find(session)
        if owner is not None and visit.known is not None and visit.known.subject != owner.subject:
            raise Rejected("session-foreign", "token and session belong to different visitors", status=403)
        below = _below(owner, visit)
        subject = None if owner is None else owner.subject
        try:
            self._outgoing.withdraw(Withdrawal(secrets.token_urlsafe(24), session, subject, below, categories))
        except Unavailable as error:  # nothing is promised, but what this browser carries goes all the same
            call.note.code = error.code
            self._pipeline.count(error)
            return error_answer(error, self._clear_token())
        if subject is not None:
            self._pipeline.recent.forget(subject)
        self._note_withdrawal(session, below, categories)
        if categories is not None:
            renewed = await self._renewed(call, session)
            if renewed is not None:
                state, cookies = renewed
                answered = self._states.get(session)
                await self._accompany(state, call, refusal.bundled, None if answered is None else answered.token)
                return _small(call, json_answer(state, *cookies))
        state = self._withdrawn(call, session, below)
        await self._accompany(state, call, refusal.bundled, None)
        return _small(call, json_answer(state, self._clear_token(), status=202))

    async def stream(self, call: Call) -> Streaming:
        """Tell this page of changes. Anybody may listen; without a visitor only policy changes are news.

        Raises: Unavailable("too-many-streams").
        """
        visit, session = await self._identify(call), self._session(call.headers)
        self._streams.require_room()  # nothing is awaited between this and the stream's first byte
        owner = None if session is None else self._sessions.find(session)
        subject = visit.known.subject if visit.known is not None else owner.subject if owner is not None else None
        listener = Listener(subject, lambda: self._worth(visit, owner))
        return Streaming(lambda receive, send: self._streams.run(listener, receive, send))

    # Who is asking.

    async def _identify(self, call: Call, always: bool = False) -> Visit:
        """The visit of this request's token. `always`: validate it even while not in sync, to name a withdrawal."""
        visit = Visit(call.headers, None, None, call.note)
        await (self._pipeline.identify if always else self._pipeline.grant)(visit)
        return visit

    async def _take_back(self, current: Credentials | None, choices: tuple[str, ...]) -> None:
        """The control plane knows additions and withdrawals; a page still says everything that is to hold."""
        dropped = tuple(name for name in CATEGORIES if name not in choices)
        known = None if current is None else self._states.get(current.withdraw)
        held = dropped if known is None else tuple(name for name in dropped if name in known.choices)
        if current is None or not held:
            return
        row = WithdrawalRow(secrets.token_urlsafe(24), current.withdraw, None, None, None, held, self._here.pop, 0)
        reply = await self._control_plane.send("DELETE", f"{CONSENTS}/-", write_row(row))
        if reply.status != 404:
            _opened(reply)

    def _credentials(self, headers: Headers) -> Credentials | None:
        """What the session cookie lets its browser do. Raises: Rejected("cookie-conflict") if there are two."""
        secret = find_cookie(headers.get(b"cookie", b""), self._here.cookies.session)
        return credentials_of(secret) if secret else None

    def _session(self, headers: Headers) -> str | None:
        """The name of the session here: its credential that only withdraws, which the outbox must forward."""
        found = self._credentials(headers)
        return None if found is None else found.withdraw

    def _require_session(self, headers: Headers) -> str:
        session = self._session(headers)
        if session is None:
            raise Rejected("session-missing", "only the session cookie may change a visitor's consent", status=401)
        return session

    def _jurisdiction(self, headers: Headers) -> str:
        return jurisdiction_of(headers, self._here.geo_header, self._here.jurisdiction)

    # A fresh token.

    def _is_due(self, visit: Visit, session: str) -> bool:
        """Whether the control plane has something to tell that this POP and the browser's cookies do not."""
        state = self._states.get(session)
        if state is None or visit.grant.refresh:
            return True
        newest = self._sessions.find(session)
        if newest is not None and newest.ver > state.ver:  # changed at another worker of this POP, or elsewhere
            return True
        return visit.known is None and state.token is not None

    async def _refresh(self, call: Call, visit: Visit, session: str) -> Told:
        current = self._credentials(call.headers)
        if current is None:
            raise Rejected("session-missing", "only the session cookie may refresh a visitor's consent", status=401)
        place, gpc = self._jurisdiction(call.headers), honours_gpc(call.headers)
        request = RefreshRequest(current.grant, place, gpc, self._here.pop, legacy=current.legacy)
        answer = _opened(await self._control_plane.send("POST", REFRESH, write_request(request)))
        if visit.known is not None and visit.known.claims.sub == answer.sub and visit.known.claims.ver > answer.ver:
            return self._state(call, visit, session), []
        newest = self._sessions.find(session)
        if newest is not None and newest.ver > answer.ver:  # this POP knows of a later "no" or a later choice
            return self._withdrawn(call, session, newest.ver), [self._clear_token()]
        cookies = self._adopt(call.note, answer, session, None)
        return self._public(answer, call), cookies

    async def _renewed(self, call: Call, session: str) -> Told | None:
        """After a partial "no": what is left and the token for it, None if that has to wait."""
        try:
            async with asyncio.timeout(FORWARD_WITHIN_S):
                await self._outgoing.forward()
                return await self._refresh(call, Visit(call.headers, None, None), session)
        except (ConsentEdgeError, TimeoutError):
            return None

    def _adopt(self, note: AuditContext, answer: ConsentAnswer, session: str, replaces: str | None) -> list[Header]:
        """Remember whose session this is and what holds; the token cookie that goes with it."""
        note.about(subject_of(answer.sub), (("sub", answer.sub), ("ver", answer.ver)))
        now = self._clock.now()
        kept = Session(session, subject_of(answer.sub), answer.ver, now + _session_life(answer))
        self._sessions.remember(kept, replaces)
        self._states.put(session, answer)
        self._pipeline.recent.forget(kept.subject)
        if answer.token is None or answer.expires_at is None:
            return [self._clear_token()]
        life = max(0, answer.expires_at - now)
        return [(b"set-cookie", self._here.cookies.set_token(answer.token, life))]

    def _forgotten(self, call: Call, visit: Visit, error: Rejected) -> Answer:
        """The control plane does not know this session: as good as none. A rotated one is another tab's doing."""
        state = self._state(call, visit, None)
        if error.code == "session-rotated":
            return json_answer(state, _code(error.code))
        gone = (b"set-cookie", self._here.cookies.set_session("", 0))
        return json_answer(state, _code(error.code), gone, self._clear_token())

    def _clear_token(self) -> Header:
        return (b"set-cookie", self._here.cookies.set_token("", 0))

    def _session_cookie(self, secret: str, answer: ConsentAnswer) -> Header:
        return (b"set-cookie", self._here.cookies.set_session(secret, _session_life(answer)))

    # What the page is told.

    def _public(self, answer: ConsentAnswer, call: Call) -> State:
        """An answer of the control plane without what only the cookies may hold."""
        return {
            "choices": list(answer.choices),
            "categories": list(answer.categories),
            "revoked": answer.revoked,
            "gpc_honoured": answer.gpc_honoured,
            "jurisdiction": self._jurisdiction(call.headers),
            "reasons": dict(answer.reasons),
            "receipt": answer.receipt,
            "ver": answer.ver,
            "expires_at": answer.expires_at,
            "retention": dict(answer.retention),
        }

    def _state(self, call: Call, visit: Visit, session: str | None) -> State:
        """What holds by this POP's own knowledge."""
        answer = None if session is None else self._states.get(session)
        claims = None if visit.known is None else visit.known.claims
        if answer is not None:
            state = self._public(answer, call)
        else:
            state = _nothing(self._jurisdiction(call.headers))
            state["gpc_honoured"] = honours_gpc(call.headers) and claims is not None
        if claims is not None:
            state["choices"] = state["choices"] or [name for name in CATEGORIES if name in claims.scopes]
            state["ver"], state["expires_at"] = claims.ver, claims.exp
        state["categories"] = list(visit.grant.categories)
        state["revoked"] = state["revoked"] or visit.grant.code == "revoked"
        return state

    def _withdrawn(self, call: Call, session: str, ver: int) -> State:
        """What holds after a "no" that the control plane has yet to confirm: nothing is effective without a token."""
        answer = self._states.get(session)
        state = _nothing(self._jurisdiction(call.headers)) if answer is None else self._public(answer, call)
        state.update(categories=[], revoked=True, ver=ver, expires_at=None, receipt=None, pending=True)
        return state

    def _note_withdrawal(self, session: str, ver: int, categories: tuple[str, ...] | None) -> None:
        """What is left of the choices. With none left no token is to be had, and none is asked for."""
        answer = self._states.get(session)
        if answer is None:
            return
        gone = CATEGORIES if categories is None else categories
        left = tuple(name for name in answer.choices if name not in gone)
        token = answer.token if left else None
        self._states.put(session, replace(answer, choices=left, categories=(), token=token, ver=ver, revoked=True))

    async def _accompany(self, state: State, call: Call, bundled: BundledDecisions, token: str | None) -> None:
        """Add what the page would otherwise ask for next: its slots' decisions, as this token leads to them."""
        if bundled.slots:
            cookie = None if token is None else self._here.cookies.token + b"=" + token.encode("ascii")
            state["slots"] = await decide_bundled(self._delivery, bundled, call.headers, cookie)

    def _worth(self, visit: Visit, owner: Session | None) -> object:
        """What an open page depends on: changes in it are news."""
        trust_state = self._pipeline.trust_state
        policy = None if trust_state.policy is None else trust_state.policy.hash
        if visit.known is not None:
            return policy, trust_state.denied(visit.known.subject, visit.known.claims.ver)
        return policy, None if owner is None else trust_state.denied(owner.subject, owner.ver)


def _small(call: Call, answer: Answer) -> Answer:
    """With bundled decisions an answer has tens of kilobytes, and somebody waits for a picture."""
    return compressed(answer, call.headers.get(b"accept-encoding", b""))


def _told(told: Told) -> Answer:
    state, headers = told
    return json_answer(state, *headers)


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


def _below(owner: Session | None, visit: Visit) -> int:
    """One more than the highest version of this visitor that is known here: every token so far loses."""
    known = 0 if visit.known is None else visit.known.claims.ver
    return max(known, 0 if owner is None else owner.ver) + 1


def _session_life(answer: ConsentAnswer) -> int:
    return answer.retention.get("consent", SESSION_LIFE_S)


def _nothing(jurisdiction: str) -> State:
    """The state of somebody who never chose."""
    return {
        "choices": [],
        "categories": [],
        "revoked": False,
        "gpc_honoured": False,
        "jurisdiction": jurisdiction,
        "reasons": {},
        "receipt": None,
        "ver": 0,
        "expires_at": None,
        "retention": {},
    }


def _code(code: str) -> Header:
    return (b"consent-edge-code", code.encode("ascii"))
