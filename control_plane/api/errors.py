"""Every failure as `{"error": {"code", "message"}}` with its HTTP status, never a stack trace."""

import logging
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.http.asgi import error_body

Count = Callable[[str, str], None]  # family ("rejected", "untrusted", "unavailable"), code

_LOG = logging.getLogger(__name__)
_HTTP_CODES = {404: "route-unknown", 405: "method-not-allowed"}


def error_response(error: ConsentEdgeError) -> Response:
    """The JSON answer for one of our errors."""
    return Response(error_body(error), error.status, {"consent-edge-code": error.code}, media_type="application/json")


def install(app: FastAPI, count: Count) -> None:
    """Let this application answer failures our way, and count them."""

    def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, ConsentEdgeError)
        count(type(error).__name__.lower(), error.code)
        return error_response(error)

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        where = ", ".join(str(part) for part in error.errors()[0]["loc"])
        return ours(_, Rejected("bad-request", f"{where}: not of the agreed form"))

    def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _HTTP_CODES.get(error.status_code, "bad-request")
        return ours(_, Rejected(code, str(error.detail), status=error.status_code))

    def unforeseen(_: Request, error: Exception) -> Response:
        _LOG.error("unforeseen failure", exc_info=error)
        return ours(_, Unavailable("internal", "an unforeseen failure; the control plane's log has it", status=500))

    app.add_exception_handler(ConsentEdgeError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unforeseen)
