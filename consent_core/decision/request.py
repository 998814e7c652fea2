"""What an edge reads from a request, and the limits it holds it to before anything else looks at it.

An edge reads only the headers named here. Query strings are parsed once and remembered: they hold a page's context
and a size, never a person.
"""

from functools import lru_cache
from urllib.parse import unquote_plus

from consent_core.http.asgi import Scope

MAX_QUERY_BYTES = 4_096  # a path of 300 characters takes 2,700 where each is three escaped bytes


MAX_QUERY_FIELDS = 32


# Lower-case name -> what joins a repeated header.
_READ = {
    b"accept": b", ",
    b"accept-encoding": b", ",
    b"accept-language": b", ",
    b"authorization": b", ",
    b"consent-client": b", ",
    b"consent-session": b", ",
    b"content-type": b", ",
    b"cookie": b"; ",
    b"dpr": b", ",
    b"host": b", ",
    b"if-none-match": b", ",
    b"idempotency-key": b", ",
    b"origin": b", ",
    b"purpose": b", ",
    b"referer": b", ",
    b"request-secret": b", ",
    b"save-data": b", ",
    b"sec-ch-dpr": b", ",
    b"sec-fetch-site": b", ",
    b"sec-gpc": b", ",
    b"sec-purpose": b", ",
}


Headers = dict[bytes, bytes]


def read_headers(scope: Scope, extra: bytes | None = None) -> Headers:
    """The headers a POP looks at, by lower-case name. `extra`: more names, from the configuration, with `+` between."""
    found: Headers = {}
    more = () if extra is None else extra.split(b"+")
    for name, value in scope["headers"]:
        if name in _READ or name in more:
            found[name] = value if name not in found else found[name] + _READ.get(name, b", ") + value
    return found


@lru_cache(maxsize=256)  # what is made of a query is remembered by those who make it
def read_query(raw: bytes) -> dict[str, str]:
    """The query string's fields, as far as they can be read: a page's pictures must not break by what its address says.

    What is too long is cut, what is not UTF-8 is replaced, and of a field that comes twice the first counts. Callers
    must not change the answer: it is shared.
    """
    fields: dict[str, str] = {}
    for pair in raw[:MAX_QUERY_BYTES].decode("utf-8", "replace").split("&")[:MAX_QUERY_FIELDS]:
        name, _, value = pair.partition("=")
        fields.setdefault(unquote_plus(name), unquote_plus(value))
    return fields


def honours_gpc(headers: Headers) -> bool:
    """Whether this request carries Global Privacy Control. A repeated header counts if any says so."""
    value = headers.get(b"sec-gpc")
    return value is not None and b"1" in value


def is_speculative(headers: Headers) -> bool:
    """Whether a browser fetches this without the person having asked for it: nothing it says may count."""
    purpose = headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b"")
    return b"prefetch" in purpose or b"prerender" in purpose
