"""The portable edge: `wasi:http/incoming-handler` around the decision. One route, `GET /v1/slots/{slot}`."""

from componentize_py_types import Ok
from deciding import answer_slot
from settings import Settings, read_settings
from wit_world import exports
from wit_world.imports import environment
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Get,
    Method_Head,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

from consent_core.decision.request import read_headers
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.http.answers import Answer, empty_answer, error_answer

SLOTS = "/v1/slots/"
CHUNK = 4_096  # of `blocking-write-and-flush`, by its contract

_settings: Settings | None = None


class IncomingHandler(exports.IncomingHandler):
    """The export `wasi:http/incoming-handler`."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        """Answer one request."""
        try:
            answer = _answer(request)
        except ConsentEdgeError as error:
            answer = error_answer(error)
        _send(answer, response_out)


def _answer(request: IncomingRequest) -> Answer:
    path, _, query = (request.path_with_query() or "/").partition("?")
    if not path.startswith(SLOTS):
        raise Rejected("not-found", "this edge answers slots alone", status=404)
    if not isinstance(request.method(), Method_Get | Method_Head):
        return empty_answer(405, (b"allow", b"GET, HEAD"))
    settings = _configured()
    with request.headers() as fields:
        pairs = [(name.lower().encode("latin-1"), value) for name, value in fields.entries()]
    headers = read_headers({"headers": pairs}, settings.geo_header)
    return answer_slot(settings, path.removeprefix(SLOTS), query.encode("utf-8"), headers)


def _configured() -> Settings:
    global _settings
    if _settings is None:
        _settings = read_settings(dict(environment.get_environment()))
    return _settings


def _send(answer: Answer, response_out: ResponseOutparam) -> None:
    """Write the answer, to HEAD as well: the host drops a body there, and holds it against Content-Length before."""
    fields = [(name.decode("ascii"), value) for name, value in answer.headers]
    response = OutgoingResponse(Fields.from_list(fields))
    response.set_status_code(answer.status)
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    if answer.body:
        with body.write() as stream:
            for start in range(0, len(answer.body), CHUNK):
                stream.blocking_write_and_flush(answer.body[start : start + CHUNK])
    OutgoingBody.finish(body, None)
