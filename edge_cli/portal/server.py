"""The portal's listener: 127.0.0.1 alone, one link that works once, then a cookie of that one browser.

    with serving(operator, SystemClock()) as running:
        print(running.entrance)          # http://127.0.0.1:PORT/enter?token=…
        running.wait()

Another program of this machine that finds the port sees nothing without the link; another site cannot send a form: the
cookie is `SameSite=Strict`, and `Host` and `Origin` must be this very address.
"""

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Rejected
from edge_cli.portal.page import Seen, page

LOOPBACK = "127.0.0.1"
COOKIE = "portal"
MAX_FORM_BYTES = 4_096
MAX_NOTE = 120
REQUESTS = "/v1/dsar/requests"
HEADERS = (
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
     "base-uri 'none'; frame-ancestors 'none'"),
    ("cache-control", "no-store"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
)  # fmt: skip

_TARGET = re.compile(r"/requests/([A-Za-z0-9-]{1,32})")


class Caller(Protocol):
    """The operator's way to the control plane."""

    @property
    def spiffe_id(self) -> object:
        """Under which name."""
        ...

    def get(self, path: str) -> Any:
        """The JSON of a route."""
        ...

    def post(self, path: str, value: Mapping[str, Any] | None = None) -> Any:
        """The JSON that a route answers to JSON."""
        ...


@dataclass
class Portal:
    """One portal. `token`: of the link, until it was used; `cookie`: of the browser that used it."""

    operator: Caller
    clock: Clock
    token: str = field(default_factory=secrets.token_urlsafe)
    cookie: str = field(default_factory=secrets.token_urlsafe)
    _entering: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, token: str) -> bool:
        """Whether this is the link, for the first time."""
        with self._entering:
            right = bool(self.token) and hmac.compare_digest(token.encode(), self.token.encode())
            self.token = "" if right else self.token
            return right

    def knows(self, cookie: str) -> bool:
        """Whether this browser used the link."""
        return hmac.compare_digest(cookie.encode(), self.cookie.encode())

    def show(self, problem: str = "") -> str:
        """The page as it is now; a control plane that is away is said on it."""
        requests: list[Any] = []
        try:
            requests = self.operator.get(REQUESTS)["requests"]
        except ConsentEdgeError as error:
            problem = problem or f"{error.code}: {error}"
        return page(requests, Seen(self.clock.now(), str(self.operator.spiffe_id), problem))

    def change(self, request: str, fields: Mapping[str, str]) -> None:
        """What a form says, in the operator's name and with their note. Raises: ConsentEdgeError."""
        note = fields.get("note", "").strip()
        if not 0 < len(note) <= MAX_NOTE or fields.get("do") not in CHANGES:
            raise Rejected("bad-request", f"expected what to do, and a note of at most {MAX_NOTE} characters")
        path, value = CHANGES[fields["do"]](f"{self.operator.spiffe_id}: {note}")
        self.operator.post(f"{REQUESTS}/{request}/{path}", value)


CHANGES: Mapping[str, Callable[[str], tuple[str, dict[str, str]]]] = {
    "hold": lambda by: ("hold", {"by": by}),
    "lift": lambda by: ("hold", {"lifted_by": by}),
    "cancel": lambda by: ("cancel", {"by": by}),
    "guardian": lambda by: ("verify", {"verified_by": "guardian", "verifier": by}),
}


class _Handler(BaseHTTPRequestHandler):
    portal: Portal
    timeout = 30

    def do_GET(self) -> None:
        """The link, or the page."""
        place = urlsplit(self.path)
        if not self._is_own_host():
            return self._answer(HTTPStatus.MISDIRECTED_REQUEST, "another host")
        if place.path == "/enter":
            return self._enter(parse_qs(place.query).get("token", [""])[0])
        if place.path != "/" or not self._may():
            return self._answer(HTTPStatus.FORBIDDEN, "Use the link that edge dsar portal prints; it works once.")
        return self._answer(HTTPStatus.OK, self.portal.show())

    def do_POST(self) -> None:
        """A form of the page, answered by 303, or by the page with what was refused."""
        target = _TARGET.fullmatch(self.path)
        if not self._is_own_host() or self.headers.get("origin") != self._origin or not self._may() or not target:
            return self._answer(HTTPStatus.FORBIDDEN, "not from this page")
        try:
            self.portal.change(target.group(1), self._fields())
        except ConsentEdgeError as error:
            return self._answer(HTTPStatus.CONFLICT, self.portal.show(f"{error.code}: {error}"))
        return self._to(f"/#{target.group(1)}")

    def log_message(self, *_: object) -> None:
        """The audit trail of the control plane has what was done; the link is in no log."""

    @property
    def _origin(self) -> str:
        return f"http://{LOOPBACK}:{self.server.server_port}"  # type: ignore[attr-defined]

    def _is_own_host(self) -> bool:
        return self.headers.get("host") == self._origin.removeprefix("http://")

    def _may(self) -> bool:
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and self.portal.knows(found.value)

    def _enter(self, token: str) -> None:
        if not self.portal.enter(token):
            return self._answer(HTTPStatus.FORBIDDEN, "This link was used, or is another portal's.")
        cookie = f"{COOKIE}={self.portal.cookie}; HttpOnly; SameSite=Strict; Path=/"
        return self._to("/", ("set-cookie", cookie))

    def _fields(self) -> dict[str, str]:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_FORM_BYTES:
            raise Rejected("body-too-large", f"expected at most {MAX_FORM_BYTES} bytes", status=413)
        try:
            read = parse_qs(self.rfile.read(int(length)).decode("utf-8"), max_num_fields=8)
        except ValueError as error:
            raise Rejected("bad-request", "expected a form") from error
        return {name: values[0] for name, values in read.items()}

    def _to(self, place: str, *headers: tuple[str, str]) -> None:
        self._send(HTTPStatus.SEE_OTHER, b"", ("location", place), *headers)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        kind = "text/html" if text.startswith("<!doctype") else "text/plain"
        self._send(status, text.encode(), ("content-type", f"{kind}; charset=utf-8"))

    def _send(self, status: HTTPStatus, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*HEADERS, *headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True, slots=True)
class Running:
    """A portal that answers. `entrance`: the link, good for one browser."""

    entrance: str
    thread: threading.Thread

    def wait(self) -> None:
        """Until the process is interrupted."""
        self.thread.join()


@contextmanager
def serving(operator: Caller, clock: Clock, port: int = 0) -> Iterator[Running]:
    """The portal, for as long as the block lasts. Raises: OSError for a port that is taken."""
    portal = Portal(operator, clock)
    handler = type("Handler", (_Handler,), {"portal": portal})
    with ThreadingHTTPServer((LOOPBACK, port), handler) as server:
        entrance = f"http://{LOOPBACK}:{server.server_port}/enter?token={portal.token}"
        thread = threading.Thread(target=server.serve_forever, name="portal", daemon=True)
        thread.start()
        try:
            yield Running(entrance, thread)
        finally:
            server.shutdown()
            thread.join()
