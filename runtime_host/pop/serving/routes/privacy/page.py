"""The page for a person's own data: see, download, correct, object, restrict, delete, follow; plain forms, no script.

    GET  /v1/consent/privacy             the page
    POST /v1/consent/privacy             kind=… | cancel=ID | code=ID.SECRET          → 303, back to the page
    GET  /v1/consent/privacy/ID          an access answer, opened by this POP, as a page to read and print
    GET  /v1/consent/privacy/ID/WHAT     one sealed thing, opened by this POP for this one download

The code of a request stays for one hour in a cookie that only this page's address gets. Who does not want this POP to
open an answer fetches it sealed: `GET /v1/consent/requests/ID/answers`.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from consent_core.decision.credentials import find_cookies
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.http.answers import INERT, PAGE, PRIVATE, Answer, Header, empty_answer
from consent_core.http.asgi import read_body
from consent_core.policy.notices import languages_of
from consent_core.policy.table import AGE_BANDS
from consent_core.trust.sealing import unseal
from runtime_host.pop.serving.routes.consent.asking import Asker, PopIdentity
from runtime_host.pop.serving.routes.privacy.answer import answer_page
from runtime_host.pop.serving.routes.privacy.requests import KINDS, PrivacyRequests, Shows
from runtime_host.pop.serving.routes.privacy.texts import TEXTS
from runtime_host.pop.serving.routing import Call

PATH = "/v1/consent/privacy"
CODE_LIFE_S = 3_600
MAX_FORM_BYTES = 4_096
PART = "part "  # how the names of an answer's parts begin
PLACES = ("EU", "UK", "US-CA", "JP", "SG", "TH", "ZZ")

_CODE = re.compile(r"([A-Za-z0-9-]{1,32})\.([A-Za-z0-9_-]{43})")
_FAILED = re.compile(r"[a-z0-9-]{1,64}")
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Code:
    """A request's id and secret, as the cookie and the field spell them: `ID.SECRET`."""

    request: str
    secret: str

    @classmethod
    def read(cls, text: str) -> "Code | None":
        """The code of a text, if it is one."""
        found = _CODE.fullmatch(text.strip())
        return None if found is None else cls(*found.groups())

    @property
    def text(self) -> str:
        """`ID.SECRET`."""
        return f"{self.request}.{self.secret}"


class PrivacyPage:
    """The page of one POP."""

    def __init__(self, here: PopIdentity, asker: Asker, requests: PrivacyRequests) -> None:
        self._here = here
        self._asker = asker
        self._requests = requests

    async def show(self, call: Call) -> Answer:
        """The page, also while the control plane is away."""
        shows, code = await self._shown(call), self._code(call)
        known: dict[str, Any] = {"requests": [], "unreachable": False, "what": ()}
        try:
            known = await self._known(shows, code)
        except Unavailable:
            known["unreachable"] = True
        except ConsentEdgeError as error:
            call.context.code = error.code
        said = parse_qs(call.query.decode("latin-1")).get("failed", [""])[0]
        problem = {"code": said, "message": ""} if _FAILED.fullmatch(said) else None
        fixed = {"kinds": KINDS, "bands": AGE_BANDS, "places": PLACES, "t": TEXTS[_language(call)]}
        mine = {"mine": code.request if code else "", "code": code.text if code else ""}
        text = _template().render(**known, **fixed, **mine, problem=problem, has_session=shows.session is not None)
        return _page(text)

    async def change(self, call: Call) -> Answer:
        """What a form says, then back to the page; what was refused is said there."""
        fields = _read(await read_body(call.receive, MAX_FORM_BYTES))
        shows = await self._shown(call)
        try:
            headers = await self._changed(fields, shows, self._code(call))
        except ConsentEdgeError as error:
            call.context.code = error.code
            return empty_answer(303, (b"location", f"{PATH}?failed={error.code}".encode("ascii")))
        return empty_answer(303, (b"location", PATH.encode("ascii")), *headers)

    async def download(self, call: Call) -> Answer:
        """One sealed thing, or the answer as a page, opened for its asker.

        Raises: Rejected("request-unknown", 404), Untrusted.
        """
        name, _, what = call.tail.partition("/")
        code, what = self._code(call), unquote(what)
        if code is None or code.request != name:
            raise Rejected("request-unknown", "no request of that id in this browser: enter its code", status=404)
        sealed = await self._requests.answers(name, Shows(secret=code.secret))
        if not what:
            return _page(answer_page(name, _parts(sealed, code.secret), TEXTS[_language(call)]))
        if what not in sealed:
            raise Rejected("request-unknown", "nothing of that name is sealed to this request", status=404)
        data = unseal(code.secret, base64.b64decode(sealed[what]), what)
        return _download(data, f"{name}-{what.replace('/', '-').replace(' ', '-')}")

    async def _known(self, shows: Shows, code: Code | None) -> dict[str, Any]:
        requests = [] if shows.session is None else await self._requests.of_session(shows)
        what: tuple[str, ...] = ()
        if code is not None:
            by_secret = Shows(secret=code.secret)
            mine = await self._requests.status(code.request, by_secret)
            requests = [mine, *(one for one in requests if one["id"] != code.request)]
            what = tuple(sorted(await self._requests.answers(code.request, by_secret)))
        return {"requests": requests, "unreachable": False, "what": what}

    async def _changed(self, fields: Fields, shows: Shows, code: Code | None) -> tuple[Header, ...]:
        if "code" in fields:
            return (self._keep(_required(Code.read(fields["code"]))),)
        if "cancel" in fields:
            secret = code.secret if code is not None and code.request == fields["cancel"] else None
            await self._requests.revoke(fields["cancel"], replace(shows, secret=secret))
            return ()
        opened = await self._requests.open({"kind": fields.get("kind", ""), "wish": _wish(fields)}, shows)
        secret = opened["request_secret"]
        return () if secret is None else (self._keep(Code(opened["id"], secret)),)

    async def _shown(self, call: Call) -> Shows:
        asked = await self._asker.identify(call)
        return Shows(asked.sessions[0] if len(asked.sessions) == 1 else None)

    def _code(self, call: Call) -> Code | None:
        found = find_cookies(call.headers.get(b"cookie", b""), self._here.cookies.request)
        return Code.read(found[0].decode("latin-1")) if len(found) == 1 else None

    def _keep(self, code: Code) -> Header:
        return (b"set-cookie", self._here.cookies.set_request(code.text, CODE_LIFE_S))


def _parts(sealed: Mapping[str, str], secret: str) -> dict[str, bytes]:
    """The parts of an answer, opened. Raises: Rejected("request-unknown", 404) where there are none."""
    parts = {what: text for what, text in sealed.items() if what.startswith(PART)}
    if not parts:
        raise Rejected("request-unknown", "this request has no answer to read yet", status=404)
    return {what: unseal(secret, base64.b64decode(text), what) for what, text in parts.items()}


def _required(code: Code | None) -> Code:
    if code is None:
        raise Rejected("request-secret", "expected the request's id, a dot, and its 43 characters", status=403)
    return code


def _wish(fields: Fields) -> dict[str, str]:
    return {name: fields[name] for name in ("age_band", "jurisdiction") if fields.get(name)}


def _read(body: bytes) -> Fields:
    try:
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=16).items()}
    except ValueError as error:
        raise Rejected("bad-request", "expected a form") from error


def _language(call: Call) -> str:
    asked = languages_of(call.headers.get(b"accept-language", b"").decode("latin-1"))
    return next((language for language in asked if language in TEXTS), "en")


def _page(text: str) -> Answer:
    body = text.encode()
    kind = (b"content-type", b"text/html; charset=utf-8")
    varies = (b"vary", b"Cookie, Accept-Language")
    return Answer(200, (kind, (b"content-length", str(len(body)).encode()), *PAGE, PRIVATE, varies), body)


def _download(data: bytes, name: str) -> Answer:
    kind = (b"content-type", b"application/octet-stream")
    saved = (b"content-disposition", f'attachment; filename="{name}"'.encode("ascii"))
    return Answer(200, (kind, saved, (b"content-length", str(len(data)).encode()), *INERT, PRIVATE), data)


@cache
def _template() -> Template:
    loader = PackageLoader("runtime_host.pop.serving.routes.privacy")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["when"] = lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    return environment.get_template("privacy.html.j2")
