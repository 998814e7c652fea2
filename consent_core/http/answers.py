"""What leaves a POP: an answer is a status, headers and bytes. Security headers are part of every one.

return json_answer({"slot": "home-hero", …}, PRIVATE)
raise Rejected("unknown-slot", …)              # becomes error_answer
"""

import gzip
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from consent_core.errors import ConsentEdgeError
from consent_core.http.asgi import Receive, Send, error_value
from consent_core.http.conditions import takes_gzip

Header = tuple[bytes, bytes]
WholeAnswer = Callable[[int, Sequence[Header], bytes], bool]  # (status, headers, body) -> whether it was taken
WHOLE = "consent-edge.whole-answer"  # the ASGI extension under which a server offers one
WORTH_COMPRESSING = 1_400  # bytes; less fits one packet either way
COMPRESSION_LEVEL = 1  # pictures in base64 lose their quarter at any level

# No answer but a page is a document; if a browser is made to open one as such, it may do nothing.
INERT: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# What a worker or service worker may do follows from the policy of its own script: this site, as its pages may.
SCRIPT: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; connect-src 'self'; script-src 'self'; worker-src 'self'; img-src 'self' data: blob:;"
        b" base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
)
PAGE: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self';"
        b" object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"accept-ch", b"Sec-CH-DPR, DPR"),  # the density comes along with the first picture of the next page
)
PRIVATE: Header = (b"cache-control", b"private, no-store")
PRIVATE_REVALIDATE: Header = (b"cache-control", b"private, no-cache")
IMMUTABLE: Header = (b"cache-control", b"public, max-age=31536000, immutable")
JSON: Header = (b"content-type", b"application/json")


class Answer(NamedTuple):
    """One complete response."""

    status: int
    headers: Sequence[Header]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Streaming:
    """A response that is written as it happens. `run` sends the whole of it."""

    run: Callable[[Receive, Send], Awaitable[None]]
    status: int = 200


def json_answer(value: Any, *headers: Header, status: int = 200) -> Answer:
    """A JSON value as an answer that no cache keeps, unless `headers` say how."""
    body = to_json(value)
    caching = () if any(name == b"cache-control" for name, _ in headers) else (PRIVATE,)
    return Answer(status, (JSON, _length(body), *INERT, *caching, *headers), body)


def compressed(answer: Answer, accept_encoding: bytes) -> Answer:
    """The same answer in fewer bytes, for clients that take gzip. Only for bodies made for one reader alone."""
    if not takes_gzip(accept_encoding) or len(answer.body) < WORTH_COMPRESSING:
        return answer
    body = gzip.compress(answer.body, COMPRESSION_LEVEL, mtime=0)
    kept = [header for header in answer.headers if header[0] != b"content-length"]
    return Answer(answer.status, [*kept, (b"content-encoding", b"gzip"), _length(body)], body)


def empty_answer(status: int, *headers: Header) -> Answer:
    """An answer without a body."""
    return Answer(status, (*INERT, PRIVATE, *headers))


def error_answer(error: ConsentEdgeError, *headers: Header) -> Answer:
    """A refusal as everybody gets it: the code for machines, the message for people, no stack trace."""
    later = () if error.retry_after_s is None else ((b"retry-after", str(error.retry_after_s).encode("ascii")),)
    code = (b"consent-edge-code", error.code.encode("ascii"))
    return json_answer(error_value(error), code, *later, *headers, status=error.status)


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


async def send_answer(send: Send, answer: Answer, head: bool, whole: WholeAnswer | None = None) -> None:
    """Write an answer; for HEAD only what comes before the body. `whole`: the server's short way, if it has one."""
    body = b"" if head else answer.body
    if body and whole is not None and whole(answer.status, answer.headers, body):
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": body})


def not_modified(headers: Sequence[Header]) -> Answer:
    """The 304 for these headers: the same, without those that describe a body."""
    return Answer(304, [header for header in headers if header[0] not in (b"content-length", b"content-type")])


def _length(body: bytes) -> Header:
    return (b"content-length", str(len(body)).encode("ascii"))
