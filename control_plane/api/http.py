"""What every route needs: a body under a size cap, who is calling, a JSON answer and its description."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter
from starlette.responses import Response

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.consent import MAX_BODY_BYTES, bad_request

ReadBody = Callable[[Request], Awaitable[bytes]]


def body_reader(limit: int) -> ReadBody:
    """A dependency that reads at most `limit` bytes. Raises: Rejected("body-too-large", 413)."""

    async def read(request: Request) -> bytes:
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise Rejected("body-too-large", f"expected at most {limit} bytes", status=413)
            chunks.append(chunk)
        return b"".join(chunks)

    return read


def require_pop(request: Request, pop: str) -> None:
    """An edge may speak for itself alone. Raises: Rejected("pop-mismatch", 403).

    Who the caller is comes from the mesh guard; without one (inside a test or one machine's loopback) the caller is not
    known.
    """
    peer = request.scope.get("state", {}).get("peer")
    if peer is not None and peer.role == "edge" and peer.name != pop:
        raise Rejected("pop-mismatch", "the body names another POP than the certificate", status=403)


def require_edge(request: Request) -> None:
    """Only an edge may ask; the policy in force cannot change that. Raises: Rejected("forbidden-route", 403)."""
    peer = request.scope.get("state", {}).get("peer")
    if peer is not None and peer.role != "edge":
        raise Rejected("forbidden-route", "only an edge may ask for a visitor's consent", status=403)


def json_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Bytes of JSON that no cache may keep."""
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, media_type="application/json")


def described(request: type[Any] | None = None, answer: type[Any] | None = None) -> dict[str, Any]:
    """The OpenAPI description of bodies that are read and written by `consent_core.formats`."""
    description: dict[str, Any] = {}
    if request is not None:
        description["requestBody"] = {"required": True, "content": _content(request)}
    if answer is not None:
        description["responses"] = {"200": {"description": "done", "content": _content(answer)}}
    return description


def _content(kind: type[Any]) -> dict[str, Any]:
    return {"application/json": {"schema": TypeAdapter(kind).json_schema()}}


def parsed(body: bytes) -> object:
    """A small JSON object. Raises: Rejected("bad-request")."""
    try:
        return read_json_object(body, MAX_BODY_BYTES)
    except Untrusted as error:
        raise bad_request(error.message) from error
