"""ASGI by its types, and the three things every listener does with it: read a bounded body, refuse, replay.

    body = await read_body(receive, 65_536)
    await refuse(send, Rejected("bad-request", "expected a JSON object"))

Source: asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format" 2.5.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from consent_core.errors import ConsentEdgeError, Rejected, Unavailable

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CODE = b"consent-edge-code"  # the response header that carries a refusal's stable code
MAX_JSON_BRACKETS = 256  # more can only be nesting meant to exhaust the parser
MAX_DIGITS = 20  # of a whole number; Python refuses to read one of 4,300


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises: Rejected("body-too-large", 413) before more than `limit` bytes are held; Rejected("bad-request") where the
    client leaves.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Rejected("bad-request", "the client went away")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Rejected("body-too-large", f"expected at most {limit} bytes", status=413)
        if not message.get("more_body", False):
            return bytes(body)


async def read_json(receive: Receive, limit: int, brackets: int = MAX_JSON_BRACKETS) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes and `brackets`; an empty body is an empty object.

    Raises: as `read_body`; Rejected("bad-request").
    """
    body = await read_body(receive, limit)
    if not body:
        return {}
    if body.count(b"{") + body.count(b"[") > brackets:
        raise Rejected("bad-request", "nested too deep")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise Rejected("bad-request", "expected JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Rejected("bad-request", "expected a JSON object")
    return value


def replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what the connection says."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def error_value(error: ConsentEdgeError) -> dict[str, dict[str, str]]:
    """A refusal as every listener and command says it: the code for machines, the message for people."""
    return {"error": {"code": error.code, "message": error.message}}


def error_body(error: ConsentEdgeError) -> bytes:
    """The same as the body of an answer."""
    return json.dumps(error_value(error), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


STOPPING = Unavailable("stopping", "this process ends; ask again")  # to a request that its end has cut off


async def refuse(send: Send, error: ConsentEdgeError) -> None:
    """Answer with a refusal that no cache keeps."""
    body = error_body(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"cache-control", b"private, no-store"),
        (CODE, error.code.encode("ascii")),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Rejected("bad-request", "a key appears twice")
    return value


def _whole(text: str) -> int | float:
    """A whole number; one with more digits than any of ours is none, and spoils nothing beside it."""
    return int(text) if len(text) <= MAX_DIGITS else float(text)


def _no_constant(_: str) -> None:
    raise Rejected("bad-request", "not a JSON number")
