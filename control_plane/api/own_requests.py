"""`/v1/requests` and `/v1/gathering`: what POPs bring for the people before them. An edge never names a person.

A person is whose session's grant credential is presented, or whose receipt is shown; a request is found by its secret
or by the session of the person whom it is about.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import REGION, bad_request
from consent_core.formats.fields import Fields
from consent_core.formats.session import CREDENTIAL
from control_plane.api.http import body_reader, json_answer, parsed, require_pop
from control_plane.api.subject_requests import Id, encoded
from control_plane.dsar.asking import Shown
from control_plane.dsar.intake import Intake, Opened, Wanted
from control_plane.dsar.room import Requests
from control_plane.dsar.steps import KINDS

MAX_PART_BYTES = 8_388_608  # of one place's part of an answer
SessionHeader = Annotated[str | None, Header(alias="Consent-Session", pattern=f"^{CREDENTIAL.pattern}$")]
SecretHeader = Annotated[str | None, Header(alias="Request-Secret", pattern="^[A-Za-z0-9_-]{43}$")]
Pop = Annotated[str, Path(pattern=f"^{REGION.pattern}$", description="the POP's own name, as in its certificate")]


def own_request_routes(requests: Requests, max_body_bytes: int) -> APIRouter:
    """The routes over one store."""
    router = APIRouter(tags=["requests"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one
    Part = Annotated[bytes, Depends(body_reader(MAX_PART_BYTES))]  # noqa: N806
    asking = requests.asking

    @router.post("/v1/requests")
    def begin(request: Request, body: Body) -> Response:
        """Open a request; the answer has the secret, once."""
        opened = _opened(requests.intake, request, body)
        shown = asking.by_operator(opened.request.id)[0]
        public = {name: value for name, value in shown.items() if name not in ("verifier", "held_by", "amended")}
        return json_answer(canonical_json({**public, "request_secret": opened.secret}))

    @router.get("/v1/requests")
    def mine(session: SessionHeader = None) -> Response:
        """Everything that the person of this session asked."""
        if session is None:
            raise bad_request("expected Consent-Session")
        return json_answer(canonical_json({"requests": asking.of_session(session)}))

    @router.get("/v1/requests/{name}")
    def one(name: Id, session: SessionHeader = None, secret: SecretHeader = None) -> Response:
        """How far a request is."""
        return json_answer(canonical_json(asking.status(name, Shown(session, secret))))

    @router.delete("/v1/requests/{name}")
    def cancel(name: Id, session: SessionHeader = None, secret: SecretHeader = None) -> Response:
        """Take it back, while nothing final was done."""
        return json_answer(canonical_json(asking.cancel(name, Shown(session, secret))))

    @router.get("/v1/requests/{name}/answers")
    def answers(name: Id, session: SessionHeader = None, secret: SecretHeader = None) -> Response:
        """What is sealed to the asker: base64 by name. Who carries it cannot read it."""
        return json_answer(canonical_json(encoded(asking.answers(name, Shown(session, secret)))))

    @router.get("/v1/gathering/{pop}")
    def wanted(request: Request, pop: Pop) -> Response:
        """Of whom this POP is asked what it holds."""
        require_pop(request, pop)
        return json_answer(canonical_json({"wanted": requests.gathering.open(f"edge/{pop}")}))

    @router.post("/v1/gathering/{pop}", status_code=204)
    def part(request: Request, pop: Pop, name: Annotated[str, Query(alias="request")], body: Part) -> Response:
        """Take this POP's part, sealed to the asker."""
        require_pop(request, pop)
        requests.gathering.take(f"edge/{pop}", name, body)
        return Response(status_code=204)

    return router


def _opened(intake: Intake, request: Request, body: bytes) -> Opened:
    fields = Fields(parsed(body), bad_request, ("pop", "kind"), ("session", "legacy", "receipt", "wish"))
    require_pop(request, fields.matching("pop", REGION))
    wish = {} if fields.absent("wish") else fields.mapping("wish")
    wanted = Wanted(fields.one_of("kind", KINDS), wish)
    if not fields.absent("session"):
        legacy = None if fields.absent("legacy") else fields.text("legacy", 64)
        return intake.by_session(wanted, fields.matching("session", CREDENTIAL), legacy)
    if fields.absent("receipt"):
        raise bad_request("expected session or receipt")
    return intake.by_receipt(wanted, fields.text("receipt"))
