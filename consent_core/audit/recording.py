"""One audit record per request: an ASGI application around an application.

    app = AuditMiddleware(app, AuditRecorder(audit, "mesh"))
    …
    current_context().about(subject, (("sub", sub),))     # wherever a handler learns whose request this is

The record is written just before the answer's first byte, so that what was answered was recorded. If it cannot be
written the caller gets 503 `audit-unwritable` in its place. A request that was given up or that failed is recorded too.
Nothing is awaited between the application's answer and the first byte.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from consent_core.audit.visitors import Fields, Person
from consent_core.audit.writer import AuditWriter, encode_fields
from consent_core.errors import ConsentEdgeError
from consent_core.http.asgi import CODE, STOPPING, App, Message, Receive, Scope, Send, refuse

Kind = tuple[Any, ...]  # what two requests with the same fields have in common

REMEMBERED = 4_096  # kinds of requests, about 400 bytes each
GONE = 499  # as proxies log a client that did not wait


class AuditContext:
    """What the parts of an application say of the request under way, for its record.

    `route`: a name or pattern, never a path. `code`: why it was refused or got the default. `more`: further fields,
    name and value in turn; values are text, whole numbers, None, or tuples of these. `visit`: what `complete`
    wants to look at when the answer leaves.
    """

    route: str | None = None  # defaults on the class: a request sets few of these
    code: str | None = None
    more: tuple[Any, ...] = ()
    person: Person | None = None
    visit: Any = None

    def about(self, subject: str, fields: Fields) -> None:
        """Whose request this is: the revocation log's name for them, and what is sealed under their key."""
        self.person = Person(subject, fields)

    def say(self, **fields: Any) -> None:
        """Add fields."""
        for pair in fields.items():
            self.more += pair


_CURRENT: ContextVar[AuditContext | None] = ContextVar("audit_note", default=None)

# complete(context, scope) fills in what is known only when the answer leaves.
Complete = Callable[[AuditContext, Scope], None]


def current_context() -> AuditContext:
    """The context of the request under way; outside of one, a context that is not recorded."""
    return _CURRENT.get() or AuditContext()


def nothing_more(_: AuditContext, __: Scope) -> None:
    """For applications that leave no context incomplete."""


class AuditRecorder:
    """Writes the records of one listener. `_known`: the fields of earlier records, which most requests repeat."""

    def __init__(self, audit: AuditWriter, listener: str, complete: Complete = nothing_more) -> None:
        self._append, self._listener, self._complete = audit.append_encoded, listener, complete
        self._known: dict[Kind, bytes] = {}

    def record(self, scope: Scope, context: AuditContext, status: int) -> None:
        """Write the record of a request whose answer is about to leave. Raises: Unavailable("audit-unwritable")."""
        self._complete(context, scope)
        kind = (scope["method"], context.route, status, context.code, context.more)
        fields = self._known.get(kind)
        if fields is None:
            more = dict(zip(context.more[::2], context.more[1::2], strict=True))
            fields = self._learn(kind, scope, context.route, status, context.code, more)
        self._append(fields, context.person)

    def _learn(
        self,
        kind: Kind,
        scope: Scope,
        route: str | None,
        status: int,
        code: str | None,
        more: Mapping[str, Any],
    ) -> bytes:
        """The fields of a record of a kind that was not seen lately."""
        fields = {"listener": self._listener, "method": scope["method"], "route": route, "status": status}
        if code is not None:
            fields["code"] = code
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        encoded = self._known[kind] = encode_fields({**fields, **more})
        return encoded


class AuditMiddleware:
    """`app` with a record per request, for applications that do not ask a `AuditRecorder` themselves."""

    def __init__(self, app: App, recorder: AuditRecorder) -> None:
        self._app = app
        self.recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and record it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        context = AuditContext()
        _CURRENT.set(context)
        answer = _Answer(self, scope, context, send)
        status, code = GONE, "client-gone"
        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if answer.recorded:
                raise
            await refuse(answer, STOPPING)
        except Exception:
            status, code = 500, "internal"
            raise
        finally:
            if not answer.recorded:
                context.code = code
                self.record(scope, context, status)

    def record(self, scope: Scope, context: AuditContext, status: int) -> None:
        """Write the record, with the peer if there is one. Raises: Unavailable("audit-unwritable")."""
        peer = scope.get("state", {}).get("peer")
        if peer is not None:
            context.say(peer=str(peer))
        self.recorder.record(scope, context, status)


class _Answer:
    """The way back of one request, with the record before its first byte."""

    __slots__ = ("_context", "_recorded", "_refused", "_scope", "_send", "recorded")

    def __init__(self, recorded: AuditMiddleware, scope: Scope, context: AuditContext, send: Send) -> None:
        self._recorded, self._scope, self._context, self._send = recorded, scope, context, send
        self.recorded = self._refused = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on, unless the record could not be written."""
        if message["type"] == "http.response.start" and not self.recorded:
            self.recorded = True
            try:
                self._context.code = _code_of(message["headers"])
                self._recorded.record(self._scope, self._context, message["status"])
            except ConsentEdgeError as error:
                self._refused = True
                await refuse(self._send, error)
        if not self._refused:
            await self._send(message)


def _code_of(headers: Any) -> str | None:
    for name, value in headers:
        if name == CODE:
            code: str = value.decode("latin-1")
            return code
    return None
