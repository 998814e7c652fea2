"""One browser: its cookies, its clicks, and the rules by which the page's module sends them (`docs/page.md`).

A click takes a number above everything this browser knows. A "no" stands in `consent-no` before anything is sent. One
change is under way at a time; a change whose answer is lost is sent again with the same key, to another POP if need be.
How a request reaches a POP is the caller's: a simulated machine, or a socket.
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from random import Random
from typing import Any, Protocol

from consent_core.formats.refusals import Refusal, write_refusals
from consent_core.formats.token import encode_base64url
from runtime_host.pop.serving.cookies import CookieNames

TRIES = 4  # of one change; a "no" that none of them placed stays in the cookie
HEADERS = {b"content-type": b"application/json", b"sec-fetch-site": b"same-origin", b"consent-client": b"sdk"}
PLAIN_NAMES = CookieNames.choose(secure=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a POP answered."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a value; nothing for an empty one."""
        value: dict[str, Any] = json.loads(self.body) if self.body else {}
        return value


class Pop(Protocol):
    """A POP as a browser reaches it. An answer that never comes is one with an error status."""

    number: int

    async def http(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes, cookies: bytes
    ) -> Answered:
        """A request as the page's module sends it: with `HEADERS`."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One click. `turn`: its place among this person's clicks; `sees`: keys of the refusals a yes was clicked over.

    `along`: categories that a module which sends full lists adds, by what the page showed at the click.
    """

    kind: str
    categories: tuple[str, ...]
    number: int
    key: str
    turn: int
    sees: tuple[str, ...] = ()
    along: tuple[str, ...] = ()


@dataclass(slots=True)
class Browser:
    """`high`: the highest version or number it knows. `queue`: changes not answered yet; `recorded`: turns that are.

    `pending`: POP where a "no" was answered 202, by its key. `full_lists`: sends every category it believes in.
    `keeps_no`: False for a client that keeps no `consent-no`, whose "no" may arrive later than its next yes.
    """

    random: Random
    home: int
    full_lists: bool = False
    keeps_no: bool = True
    names: CookieNames = PLAIN_NAMES
    token: str = ""
    session: str = ""
    high: int = 0
    clicks: int = 0
    tag: str = ""
    refusals: list[Refusal] = field(default_factory=list)
    queue: deque[Change] = field(default_factory=deque)
    believed: set[str] = field(default_factory=set)
    recorded: set[int] = field(default_factory=set)
    pending: dict[str, int] = field(default_factory=dict)
    busy: bool = False

    def __post_init__(self) -> None:
        self.tag = self._id()

    def click(self, kind: str, categories: tuple[str, ...], now: int) -> Change:
        """The person clicks. What a no refuses is in the cookie when this returns."""
        self.clicks += 1
        self.high = max([self.high, *(refusal.number for refusal in self.refusals)]) + 1
        key = self._id()
        sees = tuple(one.key for one in self.refusals if kind == "yes" and set(one.categories) & set(categories))
        if kind == "no" and self.keeps_no:
            self._drop({one.key for one in self.refusals}, categories)
            self.refusals.append(Refusal(self.high, categories, key, now))
        along = tuple(sorted(self.believed)) if self.full_lists and kind == "yes" else ()
        change = Change(kind, categories, self.high, key, self.clicks, sees, along)
        self.queue.append(change)
        return change

    def cookies(self, *, session: bool) -> bytes:
        """The Cookie header. The session travels to the consent routes alone."""
        pairs = [(self.names.token, self.token), (self.names.session, self.session if session else "")]
        if self.refusals:
            pairs.append((self.names.refusals, write_refusals(self.tag, self.refusals)))
        return b"; ".join(name + b"=" + value.encode("ascii") for name, value in pairs if value)

    async def send(self, pop: Pop, change: Change, lost: bool) -> bool:
        """Send a change; whether its answer came and settles it. `lost`: the answer does not reach the browser."""
        answered = await pop.http(*self._request(change), self.cookies(session=True))
        if lost or answered.status >= 400:
            return False
        self.hear(answered)
        self._settle(change, answered, pop.number)
        return True

    async def look(self, pop: Pop) -> dict[str, Any] | None:
        """`GET /v1/consent`, as each page does; None where that failed."""
        answered = await pop.http("GET", "/v1/consent", {}, b"", self.cookies(session=True))
        if answered.status != 200:
            return None
        self.hear(answered)
        return answered.json()

    def late_copy(self, change: Change) -> Callable[[Pop], Awaitable[Answered]]:
        """A copy of the request with the cookies of now, to arrive later; no script hears its answer."""
        request, cookies = self._request(change), self.cookies(session=True)
        return lambda pop: pop.http(*request, cookies)

    def hear(self, answered: Answered) -> None:
        """Take an answer's cookies, its version, and what it lists as overtaken."""
        for name, value in answered.headers:
            if name == b"set-cookie":
                self._take_cookie(value.decode("ascii"))
        state = answered.json()
        self.high = max(self.high, int(state.get("ver") or 0))
        self.believed = set(state.get("choices") or ())
        for entry in state.get("superseded") or ():
            self._drop({entry["key"]}, entry["categories"])

    def _request(self, change: Change) -> tuple[str, str, dict[bytes, bytes], bytes]:
        headers = {b"idempotency-key": change.key.encode("ascii")}
        categories = {*change.categories, *change.along}
        name, method = ("grant", "POST") if change.kind == "yes" else ("categories", "DELETE")
        body = {name: sorted(categories), "number": change.number}
        return method, "/v1/consent", headers, json.dumps(body).encode("ascii")

    def _settle(self, change: Change, answered: Answered, pop: int) -> None:
        state = answered.json()
        if change.kind == "no":
            self.recorded.add(change.turn)
            if answered.status == 202:
                self.pending[change.key] = pop
            return
        given = set(change.categories) & set(state.get("choices") or ())
        self._drop(set(change.sees), given)
        if given == set(change.categories):
            self.recorded.add(change.turn)

    def _drop(self, keys: set[str], categories: Any) -> None:
        """Take categories out of the entries with these keys; an entry without any goes."""
        gone = set(categories)
        kept = [
            replace(one, categories=tuple(c for c in one.categories if c not in gone)) if one.key in keys else one
            for one in self.refusals
        ]
        self.refusals = [one for one in kept if one.categories]

    def _take_cookie(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            value = "" if morsel["max-age"] == "0" else morsel.value
            if name == self.names.token.decode():
                self.token = value
            elif name == self.names.session.decode():
                self.session = value

    def _id(self) -> str:
        return encode_base64url(self.random.randbytes(16))
