"""What an edge reads from a request, and the limits it holds it to before anything else looks at it.

An edge reads only the headers named here. Query strings are parsed once and remembered: they hold a page's context
and a size, never a person.
"""

from functools import lru_cache
from urllib.parse import unquote_plus

from consent_core.errors import Rejected
from consent_core.http.asgi import Scope

MAX_QUERY_BYTES = 2_048


MAX_QUERY_FIELDS = 32


# Lower-case name -> what joins a repeated header.
_READ = {
    b"accept": b", ",
    b"accept-encoding": b", ",
    b"authorization": b", ",
    b"content-type": b", ",
    b"cookie": b"; ",
    b"dpr": b", ",
    b"host": b", ",
    b"if-none-match": b", ",
    b"idempotency-key": b", ",
    b"origin": b", ",
    b"purpose": b", ",
    b"sec-fetch-site": b", ",
    b"sec-gpc": b", ",
    b"sec-purpose": b", ",
}


Headers = dict[bytes, bytes]


def read_headers(scope: Scope, extra: bytes | None = None) -> Headers:
    """The headers a POP looks at, by lower-case name. `extra`: one more name, from the configuration."""
    found: Headers = {}
    for name, value in scope["headers"]:
        if name in _READ or name == extra:
            found[name] = value if name not in found else found[name] + _READ.get(name, b", ") + value
    return found


@lru_cache(maxsize=256)  # what is made of a query is remembered by those who make it
def read_query(raw: bytes) -> dict[str, str]:
    """The query string's fields. Callers must not change the answer: it is shared.

    Raises: Rejected("bad-query") when it is too long, not UTF-8, or names a field twice.
    """
    if len(raw) > MAX_QUERY_BYTES:
        raise Rejected("bad-query", f"expected at most {MAX_QUERY_BYTES} bytes", status=414)
    pairs = [pair.partition("=") for pair in raw.decode("latin-1").split("&") if pair]
    if len(pairs) > MAX_QUERY_FIELDS:
        raise Rejected("bad-query", f"expected at most {MAX_QUERY_FIELDS} fields")
    fields: dict[str, str] = {}
    for name, _, value in pairs:
        key = _decoded(name)
        if key in fields:
            raise Rejected("bad-query", "a field appears twice")
        fields[key] = _decoded(value)
    return fields


def honours_gpc(headers: Headers) -> bool:
    """Whether this request carries Global Privacy Control. A repeated header counts if any says so."""
    value = headers.get(b"sec-gpc")
    return value is not None and b"1" in value


def is_speculative(headers: Headers) -> bool:
    """Whether a browser fetches this without the person having asked for it: nothing it says may count."""
    purpose = headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b"")
    return b"prefetch" in purpose or b"prerender" in purpose


def _decoded(text: str) -> str:
    try:
        return unquote_plus(text.encode("latin-1").decode("utf-8"), errors="strict")
    except UnicodeDecodeError as error:
        raise Rejected("bad-query", "not UTF-8") from error
