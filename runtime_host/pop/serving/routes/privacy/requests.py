"""Requests about a person's data as JSON, and the way to the control plane that the page uses too."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.canonical import canonical_json
from consent_core.formats.session import Credentials
from consent_core.http.answers import Answer, json_answer
from consent_core.http.asgi import read_json
from runtime_host.pop.serving.routes.consent.asking import Asker, PopIdentity
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.sync.fetch import ControlPlane, Reply

REQUESTS = "/v1/requests"
KINDS = ("access", "deletion", "objection", "portability", "rectification", "restriction")
MAX_BODY_BYTES = 16_384
MAX_ANSWER_BYTES = 64 * 2**20
MEMBERS = {"kind", "wish", "receipt"}

_ID = re.compile(r"[A-Za-z0-9-]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Shows:
    """What a browser shows: its session, a request's secret, or both."""

    session: Credentials | None = None
    secret: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """How the control plane reads it."""
        session = {} if self.session is None else {"consent-session": self.session.grant}
        return {**session, **({} if self.secret is None else {"request-secret": self.secret})}


class PrivacyRequests:
    """The JSON routes, and what they ask."""

    def __init__(self, here: PopIdentity, asker: Asker, plane: ControlPlane) -> None:
        self._here = here
        self._asker = asker
        self._plane = plane

    async def begin(self, call: Call) -> Answer:
        """A request; the answer has its secret, once. Raises: Rejected (the control plane's), Unavailable."""
        value = await read_json(call.receive, MAX_BODY_BYTES)
        if not isinstance(value, dict) or not value.keys() <= MEMBERS or value.get("kind") not in KINDS:
            raise Rejected("bad-request", f"expected kind: one of {', '.join(KINDS)}")
        shows = await self.shown(call)
        return json_answer(await self.open(value, shows))

    async def mine(self, call: Call) -> Answer:
        """Everything that this person asked. Raises: Rejected("session-missing", 401)."""
        return json_answer({"requests": await self.of_session(await self.shown(call))})

    async def one(self, call: Call) -> Answer:
        """One request, or what is sealed to its asker."""
        name, _, what = call.tail.partition("/")
        if what not in ("", "answers"):
            raise Rejected("route-unknown", "there is nothing at this address", status=404)
        shows = await self.shown(call)
        return json_answer(await self.answers(name, shows) if what else await self.status(name, shows))

    async def cancel(self, call: Call) -> Answer:
        """Take a request back. Raises: Rejected("request-final", 409)."""
        return json_answer(await self.revoke(call.tail, await self.shown(call)))

    async def shown(self, call: Call) -> Shows:
        """What this browser shows. Raises: Rejected("cookie-conflict")."""
        asked = await self._asker.identify(call)
        secret = call.headers.get(b"request-secret", b"").decode("latin-1")
        return Shows(asked.session, secret if _SECRET.fullmatch(secret) else None)

    async def open(self, wanted: Mapping[str, Any], shows: Shows) -> dict[str, Any]:
        """Pass a request on. A session counts before a receipt. Raises: Rejected, Unavailable."""
        asked = {name: wanted[name] for name in ("kind", "wish") if name in wanted}
        if shows.session is not None:
            legacy = shows.session.legacy
            asked |= {"session": shows.session.grant, **({} if legacy is None else {"legacy": legacy})}
        elif "receipt" in wanted:
            asked["receipt"] = wanted["receipt"]
        else:
            raise Rejected("session-missing", "nobody can tell whose data this is about", status=401)
        return _opened(await self._plane.send("POST", REQUESTS, canonical_json({**asked, "pop": self._here.pop})))

    async def of_session(self, shows: Shows) -> list[dict[str, Any]]:
        """The requests of a person, as the control plane tells them."""
        if shows.session is None:
            raise Rejected("session-missing", "nobody can tell whose requests these are", status=401)
        reply = await self._plane.get(REQUESTS, headers=Shows(shows.session).headers, limit=2**20)
        return list(_opened(reply)["requests"])

    async def status(self, name: str, shows: Shows) -> dict[str, Any]:
        """How far a request is."""
        return _opened(await self._plane.get(_path(name), headers=shows.headers))

    async def answers(self, name: str, shows: Shows) -> dict[str, Any]:
        """What is sealed to the asker; this POP cannot read it."""
        path = f"{_path(name)}/answers"
        return _opened(await self._plane.get(path, headers=shows.headers, limit=MAX_ANSWER_BYTES))

    async def revoke(self, name: str, shows: Shows) -> dict[str, Any]:
        """Take a request back."""
        return _opened(await self._plane.delete(_path(name), headers=shows.headers))


def _path(name: str) -> str:
    if not _ID.fullmatch(name):
        raise Rejected("request-unknown", "no request of that id", status=404)
    return f"{REQUESTS}/{name}"


def _opened(reply: Reply) -> dict[str, Any]:
    """The control plane's answer; its refusals are passed on under their own code."""
    try:
        value = json.loads(reply.body)
        if reply.status < 300 and isinstance(value, dict):
            return value
        code, message = str(value["error"]["code"]), str(value["error"]["message"])
    except (ValueError, KeyError, TypeError) as failure:
        raise Unavailable("control-plane-failed", f"the control plane answered {reply.status}") from failure
    if not _CODE.fullmatch(code):
        raise Unavailable("control-plane-failed", "the control plane refused without a code")
    raise Rejected(code, message, status=reply.status)
