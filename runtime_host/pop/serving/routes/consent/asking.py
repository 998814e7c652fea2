"""Who asks: the token, the session cookies and the refusals of one request to `/v1/consent`, read once."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from consent_core.audit.recording import AuditContext
from consent_core.decision.credentials import find_cookies
from consent_core.decision.grant import jurisdiction_of
from consent_core.decision.request import Headers, honours_gpc, is_speculative
from consent_core.errors import Rejected
from consent_core.formats.consent import IDEMPOTENCY_KEY
from consent_core.formats.refusals import Refusals, refusals_in
from consent_core.formats.session import Credentials, credentials_of, stored
from consent_core.http.clients import Clients
from runtime_host.pop.serving.cookies import CookieNames
from runtime_host.pop.serving.pipeline import Pipeline, Visit
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Session
from runtime_host.pop.stores.sessions import Sessions

MAX_SESSIONS = 4  # a sibling host can plant some; a "no" holds for each
PAGE_MODULE = b"sdk"  # what the page's module says in `Consent-Client`


@dataclass(frozen=True, slots=True)
class PopIdentity:
    """Who this POP is and which law it applies."""

    pop: str
    jurisdiction: str
    geo_header: bytes | None
    cookies: CookieNames
    age_band: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and who it comes from. `sessions`: the credentials of every different session presented.

    `erased`: the token is of a visitor who was erased.
    """

    headers: Headers
    context: AuditContext
    visit: Visit
    sessions: tuple[Credentials, ...]
    refusals: Refusals
    jurisdiction: str
    gpc: bool
    erased: bool
    client: str | None  # for rates; None: not to be limited

    @property
    def session(self) -> Credentials | None:
        """The session, if it is one. Raises: Rejected("cookie-conflict"): the POP cannot tell whose this request is."""
        if len(self.sessions) > 1:
            raise Rejected("cookie-conflict", "two session cookies")
        return self.sessions[0] if self.sessions else None

    def required_session(self) -> Credentials:
        """The session. Raises: Rejected("session-missing", 401)."""
        session = self.session
        if session is None:
            raise Rejected("session-missing", "a fresh token needs the session cookie", status=401)
        return session

    @property
    def by_module(self) -> bool:
        """Whether the page's own module asks: it keeps `consent-no` itself."""
        return self.headers.get(b"consent-client") == PAGE_MODULE

    @property
    def speculative(self) -> bool:
        """Whether the browser only fetches ahead."""
        return is_speculative(self.headers)


class Asker:
    """Reads requests. `owner`: whose a session is, as far as this POP knows."""

    def __init__(
        self,
        here: PopIdentity,
        pipeline: Pipeline,
        sessions: Sessions,
        is_erased: Callable[[str], bool],
        clients: Clients,
    ) -> None:
        self._clients = clients
        self._here = here
        self._pipeline = pipeline
        self._sessions = sessions
        self._is_erased = is_erased

    async def ask(self, call: Call) -> Asked:
        """What the request allows now. Raises: Rejected("credential-conflict")."""
        visit = Visit(call.headers, None, None, call.context)
        await self._pipeline.grant(visit)
        return self._asked(call, visit)

    async def identify(self, call: Call) -> Asked:
        """Who says "no": also while not in sync, and with a doubtful token. Never refuses."""
        visit = Visit(call.headers, None, None, call.context)
        try:
            await self._pipeline.identify(visit)
        except Rejected as error:
            visit.settle_for_default(error.code)
        return self._asked(call, visit)

    def owner(self, session: Credentials | None) -> Session | None:
        """The visitor of a session; also of one that was begun before there were credentials."""
        if session is None:
            return None
        found = self._sessions.find(stored(session.grant))
        if found is None and session.legacy is not None:
            found = self._sessions.find(stored(session.legacy))
        return found

    def _asked(self, call: Call, visit: Visit) -> Asked:
        headers, here = call.headers, self._here
        return Asked(
            headers,
            call.context,
            visit,
            self._presented(headers),
            refusals_in(headers.get(b"cookie")),
            jurisdiction_of(headers, here.geo_header, here.jurisdiction),
            honours_gpc(headers),
            visit.known is not None and self._is_erased(visit.known.subject),
            self._clients.of(call.scope),
        )

    def _presented(self, headers: Headers) -> tuple[Credentials, ...]:
        """From the cookie; API clients send theirs in `Consent-Session`."""
        found = [*find_cookies(headers.get(b"cookie", b""), self._here.cookies.session)]
        if secret := headers.get(b"consent-session"):
            found.append(secret)
        return tuple(credentials_of(secret) for secret in [*dict.fromkeys(found)][:MAX_SESSIONS] if secret)


def key_of(headers: Headers) -> str:
    """The idempotency key of a change: the client's, or a fresh one."""
    key = headers.get(b"idempotency-key", b"").decode("latin-1")
    return key if re.fullmatch(IDEMPOTENCY_KEY, key) else secrets.token_urlsafe(16)


def legacy_of(session: Credentials) -> str | None:
    """What the control plane holds of a session that was begun before there were credentials."""
    return None if session.legacy is None else stored(session.legacy)
