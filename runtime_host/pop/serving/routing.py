"""From an ASGI request to the handler of its route, and from result or failure there to one answer.

A route is a name, a path (or the beginning of one, ending in `/`) and a handler per method. Routes that change
something are guarded: a browser on another site cannot reach them with this visitor's cookies.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent_core.audit.recording import AuditContext, AuditRecorder, current_context
from consent_core.decision.request import Headers, read_headers
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable, Untrusted
from consent_core.http.answers import (
    WHOLE,
    Answer,
    Streaming,
    empty_answer,
    error_answer,
    send_answer,
)
from consent_core.http.asgi import STOPPING, Receive, Scope, Send
from consent_core.telemetry.counters import Counter

LOG = logging.getLogger("consent_edge.pop")

API = "/v1/"  # nothing of the site is below it
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
_STATUS = {number: f"{number}xx" for number in range(1, 6)}


@dataclass(slots=True)
class Call:
    """One request as a handler sees it. `tail`: what follows the route's path, percent-decoded.

    `context`: what the audit trail will say of it.
    """

    scope: Scope
    receive: Receive
    headers: Headers
    tail: str
    context: AuditContext

    @property
    def query(self) -> bytes:
        """The query string as received."""
        query: bytes = self.scope["query_string"]
        return query


Handler = Callable[[Call], Awaitable[Answer | Streaming]]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` ending in `/` stands for everything below it. `handlers`: by method; GET answers HEAD too."""

    name: str
    path: str
    handlers: Mapping[str, Handler]
    guarded: bool = True
    form: bool = False  # takes a plain form, and nothing else

    @property
    def allow(self) -> bytes:
        """The methods, as the Allow header spells them."""
        methods = {*self.handlers, "OPTIONS", *(("HEAD",) if "GET" in self.handlers else ())}
        return ", ".join(sorted(methods)).encode("ascii")


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """What routing counts."""

    requests: Counter
    rejected: Counter
    untrusted: Counter
    unavailable: Counter


class Router:
    """One listener's routes as an ASGI application. `geo_header`: one more header to read.

    `recorder`: of the audit trail; None if a middleware records, or there is no trail.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        counts: RequestCounts,
        geo_header: bytes | None = None,
        origins: Sequence[str] = (),
        recorder: AuditRecorder | None = None,
    ) -> None:
        self._exact = {route.path: route for route in routes if not route.path.endswith("/") or route.path == "/"}
        self._below = [route for route in routes if route.path.endswith("/")]
        self._counts = counts
        self._geo_header = geo_header
        self._origins = frozenset(origins)
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        route, tail = self._find(scope["path"])
        context = current_context() if self._recorder is None else AuditContext()
        context.route = None if route is None else route.name
        try:
            answer = await self._answer(route, tail, scope, receive, context)
        except ConsentEdgeError as error:
            answer = self._refusal(error)
            context.code = error.code
        except asyncio.CancelledError:  # this process ends
            answer = self._refusal(STOPPING)
            context.code = STOPPING.code
        except Exception:
            LOG.exception("a handler of %s failed", "nothing" if route is None else route.name)
            answer = error_answer(_INTERNAL)
            context.code = _INTERNAL.code
        if self._recorder is not None:
            try:
                self._recorder.record(scope, context, answer.status)
            except ConsentEdgeError as error:  # what cannot be recorded is not answered
                answer = self._refusal(error)
        # Nothing is awaited between a handler's last look at the revocations and this first byte.
        if isinstance(answer, Streaming) and scope["method"] != "HEAD":
            await answer.run(receive, send)
        elif isinstance(answer, Streaming):
            await send_answer(send, empty_answer(answer.status), head=True)
        else:
            extensions = scope.get("extensions")
            whole = None if extensions is None else extensions.get(WHOLE)
            await send_answer(send, answer, scope["method"] == "HEAD", whole)
        self._counts.requests.add("unknown" if route is None else route.name, _STATUS[answer.status // 100])

    def _find(self, path: str) -> tuple[Route | None, str]:
        route = self._exact.get(path)
        if route is not None:
            return route, ""
        for route in self._below:
            if path.startswith(route.path):
                return (None, "") if route.path == "/" and path.startswith(API) else (route, path[len(route.path) :])
        return None, ""

    async def _answer(
        self, route: Route | None, tail: str, scope: Scope, receive: Receive, context: AuditContext
    ) -> Answer | Streaming:
        if route is None:
            raise Rejected("route-unknown", "there is nothing at this address", status=404)
        method: str = scope["method"]
        handler = route.handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            return self._no_handler(route, method)
        headers = read_headers(scope, self._geo_header)
        if route.guarded and method not in SAFE:
            check_same_origin(headers, self._origins, FORM if route.form else JSON)
        return await handler(Call(scope, receive, headers, tail, context))

    def _no_handler(self, route: Route, method: str) -> Answer:
        if method == "OPTIONS":
            return empty_answer(204, (b"allow", route.allow))
        refusal = Rejected("method-not-allowed", "this address does not do that", status=405)
        self._counts.rejected.add(refusal.code)
        return error_answer(refusal, (b"allow", route.allow))

    def _refusal(self, error: ConsentEdgeError) -> Answer:
        if isinstance(error, Rejected):
            self._counts.rejected.add(error.code)
        elif isinstance(error, Untrusted):
            self._counts.untrusted.add(error.code)
        else:
            self._counts.unavailable.add(error.code)
        return error_answer(error)


def check_same_origin(headers: Headers, origins: frozenset[str] = frozenset(), kind: bytes = JSON) -> None:
    """Refuse a change that did not come from a page of this very site.

    JSON makes a cross-site form impossible, where JSON is asked for; `Sec-Fetch-Site` says where a browser's request
    comes from; a client that
    does not send it must name this host (or one of `origins`) as its `Origin`. Raises: Rejected("cross-site", 403).
    """
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if content_type != kind:
        raise Rejected("cross-site", f"expected Content-Type: {kind.decode('ascii')}", status=403)
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        if site != b"same-origin":
            raise Rejected("cross-site", "this change came from another site", status=403)
        return
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin not in origins and not _names_host(origin, headers.get(b"host", b"").decode("latin-1")):
        raise Rejected("cross-site", "expected Sec-Fetch-Site: same-origin, or this site as Origin", status=403)


def _names_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower() and not parts.path


_INTERNAL = Unavailable("internal", "something went wrong here; it was noted", status=500)
