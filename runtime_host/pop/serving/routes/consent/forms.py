"""`POST /v1/consent/form`: the same changes from a plain form, for pages without the module or without scripts.

    withdraw=all | withdraw=<category>…   grant=<category>…   notice=<digest>      → 303, back to the page

After a yes the way back leads over `GET /v1/consent/form`, where the browser presents its new session for the first
time: a session that is never presented is swept, with its record.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs, quote, urlsplit

from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.formats.token import CATEGORIES
from consent_core.http.answers import Answer, Header, empty_answer, error_answer
from consent_core.http.asgi import read_body
from runtime_host.pop.serving.routes.consent.asking import Asked, key_of
from runtime_host.pop.serving.routes.consent.granting import Granting
from runtime_host.pop.serving.routes.consent.room import Room
from runtime_host.pop.serving.routes.consent.withdrawing import Withdrawing
from runtime_host.pop.serving.routes.request_bodies import MAX_CONSENT_BYTES, No, Yes
from runtime_host.pop.serving.routing import Call

BACK = "/v1/consent/form"
ALL = "all"
MAX_FIELDS = 1_024  # of a form: what else a page sends along must not keep a "no" out

Fields = dict[str, list[str]]


class Forms:
    """Reads a form, makes the changes, and leads back."""

    def __init__(self, room: Room, granting: Granting, withdrawing: Withdrawing) -> None:
        self._room = room
        self._granting = granting
        self._withdrawing = withdrawing

    async def change(self, call: Call) -> Answer:
        """A "no" first, then a yes. Raises: Rejected("bad-request") for a form without either, Unavailable."""
        fields = _read(await read_body(call.receive, MAX_CONSENT_BYTES))
        withdrawn = _withdrawn(fields)
        if withdrawn == () and "grant" not in fields:
            raise Rejected("bad-request", "expected withdraw or grant")
        asked = await self._room.asker.identify(call)
        headers: tuple[Header, ...] = ()
        if withdrawn != ():
            said = await self._withdrawing.say(asked, No(withdrawn), key_of(call.headers))
            if said.error is not None:
                return error_answer(said.error, *said.headers)
            headers = said.headers
        if "grant" in fields:
            return await self._then_yes(call, asked, fields, headers)
        return empty_answer(303, (b"location", _page(call).encode("ascii")), *headers)

    async def _then_yes(self, call: Call, asked: Asked, fields: Fields, no: tuple[Header, ...]) -> Answer:
        """`no`: what the "no" before it does to the browser's cookies, which a yes that fails leaves done."""
        try:
            notice = next(iter(fields.get("notice", ())), None)
            yes = Yes(_granted(fields), self._room.here.age_band, notice=notice)
            done = await self._granting.record(asked, yes, key_of(call.headers))
        except ConsentEdgeError as error:
            if not no:
                raise
            asked.context.code = error.code
            return error_answer(error, *no)
        back = f"{BACK}?to={quote(_page(call), safe='/')}"
        return empty_answer(303, (b"location", back.encode("ascii")), *no, *done.headers)

    async def back(self, call: Call) -> Answer:
        """Present the session that the yes began, then lead back to the page."""
        asked = await self._room.asker.ask(call)
        headers: Sequence[Header] = ()
        if len(asked.sessions) == 1 and not asked.speculative:
            headers = await self._presented(asked)
        to = parse_qs(call.query.decode("latin-1")).get("to", ["/"])[0]
        return empty_answer(303, (b"location", _local(to).encode("ascii")), *headers)

    async def _presented(self, asked: Asked) -> list[Header]:
        session = asked.sessions[0]
        try:
            answer = await self._room.records.refresh(asked, session)
        except ConsentEdgeError as error:
            if isinstance(error, Unavailable):
                asked.context.code = error.code
            return []
        return await self._room.records.adopt(asked, answer, session, presented=True)


def _read(body: bytes) -> Fields:
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Rejected("bad-request", "expected a form") from error


def _withdrawn(fields: Fields) -> tuple[str, ...] | None:
    """What is taken back: None for all, an empty tuple for nothing. A word beside a category keeps no "no" out."""
    said = fields.get("withdraw", ())
    named = tuple(category for category in CATEGORIES if category in said)
    if said and not named and ALL not in said:
        raise Rejected("bad-request", "withdraw: expected a category")
    return None if ALL in said else named


def _granted(fields: Fields) -> tuple[str, ...]:
    said = fields["grant"]
    if any(value not in CATEGORIES for value in said):
        raise Rejected("bad-request", "grant: expected a category")
    return tuple(category for category in CATEGORIES if category in said)


def _page(call: Call) -> str:
    """The path of the page that the form is on, if it is one of this site."""
    parts = urlsplit(call.headers.get(b"referer", b"").decode("latin-1"))
    host = call.headers.get(b"host", b"").decode("latin-1")
    return _local(parts.path) if host and parts.netloc.lower() == host.lower() else "/"


def _local(path: str) -> str:
    """A path of this site; `//host` and `/\\host` lead elsewhere."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return quote(path, safe="/%:@!$&'()*+,;=~-._") if safe else "/"
