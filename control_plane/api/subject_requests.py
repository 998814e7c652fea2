"""`/v1/dsar`: what operators do about people's requests, by subject and under their own name."""

import base64
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import bad_request
from consent_core.formats.fields import Fields
from control_plane.api.http import body_reader, json_answer, parsed
from control_plane.dsar.csv_file import MAX_BYTES, read_import
from control_plane.dsar.intake import VERIFIERS, Intake, Opened, Wanted, subject_named
from control_plane.dsar.room import Requests
from control_plane.dsar.steps import KINDS

Id = Annotated[str, Path(pattern="^[A-Za-z0-9-]{1,32}$", description="the request's id")]
_PERSON = re.compile(r"[0-9a-f]{64}|[A-Za-z0-9_-]{22}")
CSV = "text/csv; charset=utf-8"


def request_routes(requests: Requests, max_body_bytes: int) -> APIRouter:
    """The routes over one store."""
    router = APIRouter(tags=["requests"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one
    Rows = Annotated[bytes, Depends(body_reader(MAX_BYTES))]  # noqa: N806
    intake, asking = requests.intake, requests.asking

    @router.post("/v1/dsar/requests")
    def begin(body: Body) -> Response:
        """Open a request for somebody whom an operator verified; the answer has the secret, once."""
        return json_answer(canonical_json(_opened(asking, _by_operator(intake, body))))

    @router.get("/v1/dsar/requests")
    def every() -> Response:
        """Every request, oldest first."""
        return json_answer(canonical_json({"requests": asking.by_operator()}))

    @router.get("/v1/dsar/requests/{name}")
    def one(name: Id) -> Response:
        """One request, each step with what shows that it is done."""
        return json_answer(canonical_json(asking.by_operator(name)[0]))

    @router.get("/v1/dsar/requests/{name}/answers")
    def answers(name: Id) -> Response:
        """What is sealed to the asker, as it lies here: base64 by name."""
        asking.by_operator(name)
        return json_answer(canonical_json(encoded(asking.sealed(name))))

    @router.post("/v1/dsar/requests/{name}/cancel")
    def cancel(name: Id, body: Body) -> Response:
        """`{"by"}`, or no body: take it back, while nothing final was done."""
        fields = Fields(parsed(body) if body else {}, bad_request, (), ("by",))
        intake.cancel(name, "" if fields.absent("by") else fields.text("by", 300))
        return json_answer(canonical_json(asking.by_operator(name)[0]))

    @router.post("/v1/dsar/requests/{name}/hold")
    def hold(name: Id, body: Body) -> Response:
        """`{"by"}`: forbid by name that this person's data goes; without it the hold is lifted, `{"lifted_by"}`."""
        fields = Fields(parsed(body), bad_request, (), ("by", "lifted_by"))
        by, lifted_by = ("" if fields.absent(one) else fields.text(one, 300) for one in ("by", "lifted_by"))
        intake.hold(name, by, lifted_by)
        return json_answer(canonical_json(asking.by_operator(name)[0]))

    @router.post("/v1/dsar/requests/{name}/verify")
    def verify(name: Id, body: Body) -> Response:
        """`{"verified_by", "verifier"}`: who asked was verified since; what waits begins."""
        fields = Fields(parsed(body), bad_request, ("verified_by", "verifier"))
        intake.verify(name, fields.one_of("verified_by", VERIFIERS), fields.text("verifier", 300))
        return json_answer(canonical_json(asking.by_operator(name)[0]))

    @router.post("/v1/dsar/requests/{name}/amend")
    def amend(name: Id, body: Body) -> Response:
        """`{"wish", "by"}`: ask for something else than before."""
        fields = Fields(parsed(body), bad_request, ("wish", "by"))
        intake.amend(name, fields.mapping("wish"), fields.text("by", 200))
        return json_answer(canonical_json(asking.by_operator(name)[0]))

    @router.get("/v1/dsar/list")
    def export() -> Response:
        """`privacy-requests.csv`."""
        return Response(intake.listed.write(), 200, {"cache-control": "no-store"}, media_type=CSV)

    @router.post("/v1/dsar/import")
    def take(body: Rows) -> Response:
        """Open every line's request, or none: the file is checked whole first."""
        opened = [
            intake.by_operator(Wanted(row.kind), row.subject, "operator", f"import {row.id}")
            for row in _known(requests, body)
        ]
        return json_answer(canonical_json({"requests": [_opened(asking, one) for one in opened]}))

    return router


def encoded(answers: Any) -> dict[str, str]:
    """Sealed answers as JSON carries them."""
    return {what: base64.b64encode(sealed).decode("ascii") for what, sealed in answers.items()}


def _by_operator(intake: Intake, body: bytes) -> Opened:
    fields = Fields(parsed(body), bad_request, ("kind", "person", "verified_by", "verifier"), ("wish",))
    wish = {} if fields.absent("wish") else fields.mapping("wish")
    subject = subject_named(fields.matching("person", _PERSON))
    verified_by = fields.one_of("verified_by", VERIFIERS)
    return intake.by_operator(
        Wanted(fields.one_of("kind", KINDS), wish), subject, verified_by, fields.text("verifier", 200)
    )


def _opened(asking: Any, opened: Opened) -> dict[str, Any]:
    return {"request_secret": opened.secret, **asking.by_operator(opened.request.id)[0]}


def _known(requests: Requests, body: bytes) -> Any:
    """The lines of an import, all of people who are known here. Raises: Rejected("csv-person")."""
    from control_plane.consent import records

    rows = read_import(body)
    with requests.around.database.read() as connection:
        for number, row in enumerate(rows, 2):
            if records.sub_of(connection, row.subject) is None:
                raise Rejected("csv-person", f"line {number}: no such visitor")
    return rows
