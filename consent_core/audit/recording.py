"""One audit record per request: an ASGI application around an application.

    app = Recorded(app, audit, "mesh")
    …
    current_note().about(subject, {"sub": sub})     # wherever a handler learns whose request this is

The record is written just before the answer's first byte, so that what was answered was recorded. If it cannot be
written the caller gets 503 `audit-unwritable` in its place. A request that was given up or that failed is recorded too.
Nothing is awaited between the application's answer and the first byte.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from consent_core.audit.writer import AuditWriter
from consent_core.errors import ConsentEdgeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CODE = b"consent-edge-code"
GONE = 499  # as proxies log a client that did not wait


class Note:
    """What the parts of an application say of the request under way, for its record.

    `route`: a name or pattern, never a path. `visit`: whatever `complete` wants to look at when the answer leaves.
    """

    __slots__ = ("fields", "person", "route", "subject", "visit")

    def __init__(self) -> None:
        self.route: str | None = None
        self.fields: dict[str, Any] = {}
        self.subject: str | None = None
        self.person: Mapping[str, Any] | None = None
        self.visit: Any = None

    def about(self, subject: str, person: Mapping[str, Any]) -> None:
        """Whose request this is: the revocation log's name for them, and what is sealed under their key."""
        self.subject, self.person = subject, person


_CURRENT: ContextVar[Note | None] = ContextVar("audit_note", default=None)

# complete(note, scope) fills in what is known only when the answer leaves.
Complete = Callable[[Note, Scope], None]


def current_note() -> Note:
    """The note of the request under way; outside of one, a note that nobody reads."""
    return _CURRENT.get() or Note()


def nothing_more(_: Note, __: Scope) -> None:
    """For applications whose notes are complete."""


class Recorded:
    """`app` with a record per request. `listener` says which door it came through."""

    def __init__(self, app: App, audit: AuditWriter, listener: str, complete: Complete = nothing_more) -> None:
        self._app, self._audit, self._listener, self._complete = app, audit, listener, complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and record it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        note = Note()
        _CURRENT.set(note)
        answer = _Answer(self, scope, note, send)
        status, code = GONE, "client-gone"
        try:
            await self._app(scope, receive, answer)
        except Exception:
            status, code = 500, "internal"
            raise
        finally:
            if not answer.recorded:
                self.record(scope, note, status, code)

    def record(self, scope: Scope, note: Note, status: int, code: str | None) -> None:
        """Write the record. Raises: Unavailable("audit-unwritable")."""
        self._complete(note, scope)
        peer = scope.get("state", {}).get("peer")
        fields = {"listener": self._listener, "method": scope["method"], "route": note.route, "status": status}
        if code is not None:
            fields["code"] = code
        if peer is not None:
            fields["peer"] = str(peer)
        self._audit.append({**fields, **note.fields}, subject=note.subject, person=note.person)


class _Answer:
    """The way back of one request, with the record before its first byte."""

    __slots__ = ("_note", "_recorder", "_refused", "_scope", "_send", "recorded")

    def __init__(self, recorder: Recorded, scope: Scope, note: Note, send: Send) -> None:
        self._recorder, self._scope, self._note, self._send = recorder, scope, note, send
        self.recorded = self._refused = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on, unless the record could not be written."""
        if message["type"] == "http.response.start" and not self.recorded:
            self.recorded = True
            try:
                self._recorder.record(self._scope, self._note, message["status"], _code_of(message["headers"]))
            except ConsentEdgeError as error:
                self._refused = True
                await _refuse(self._send, error)
        if not self._refused:
            await self._send(message)


def _code_of(headers: Any) -> str | None:
    for name, value in headers:
        if name == CODE:
            code: str = value.decode("latin-1")
            return code
    return None


async def _refuse(send: Send, error: ConsentEdgeError) -> None:
    body = json.dumps({"error": {"code": error.code, "message": error.message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        (CODE, error.code.encode("ascii")),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
