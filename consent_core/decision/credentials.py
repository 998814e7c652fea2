"""Which token a request presents: from the cookie, from `Authorization: Bearer`, or none.

Any doubt about a browser's cookies ends in the default response; only a client that names two different
tokens on purpose is told off.
"""

from consent_core.decision.request import Headers
from consent_core.errors import Rejected
from consent_core.formats.token import MAX_TOKEN_BYTES

_BEARER = b"bearer "


def presented_token(headers: Headers, cookie_name: bytes) -> bytes | None:
    """The token's text as received, None when there is none.

    Raises: Rejected with "token-too-long", "cookie-conflict" (a cookie with two values) or "credential-conflict"
    (400: cookie and bearer differ). The text is not otherwise looked at.
    """
    bearer = _bearer(headers.get(b"authorization"))
    header = headers.get(b"cookie")
    cookie = None if header is None else find_cookie(header, cookie_name)
    if bearer is not None and cookie and bearer != cookie:
        raise Rejected("credential-conflict", "cookie and bearer hold different tokens")
    text = bearer if bearer is not None else cookie
    if text:
        check_length(text)
    return text or None


def _bearer(value: bytes | None) -> bytes | None:
    if value is None or value[:7].lower() != _BEARER:
        return None
    return value[7:].strip(b" \t") or None


MAX_COOKIE_BYTES = 65_536  # of the whole header; four times what browsers send to one site


def find_cookie(header: bytes, name: bytes) -> bytes | None:
    """The value of cookie `name`, None if absent.

    Raises: Rejected("cookie-conflict") if it comes twice with different values: a sub-domain or an earlier page of
    this host may have planted one of them, and an edge cannot tell which. Rejected("token-too-long") for a header that
    is longer than any browser's.
    """
    if name not in header:
        return None
    if len(header) > MAX_COOKIE_BYTES:
        raise Rejected("token-too-long", f"cookies: expected at most {MAX_COOKIE_BYTES} bytes", status=401)
    found = find_cookies(header, name)
    if len(found) > 1:
        raise Rejected("cookie-conflict", "the same cookie with two values")
    return found[0] if found else None


def find_cookies(header: bytes, name: bytes) -> tuple[bytes, ...]:
    """Every different value of cookie `name`, in the order they came."""
    prefix = name + b"="
    pairs = (pair.strip(b" \t") for pair in header.split(b";"))
    return tuple(dict.fromkeys(pair[len(prefix) :] for pair in pairs if pair.startswith(prefix)))


def check_length(text: bytes) -> None:
    """Refuse a token longer than the format allows before it is hashed, decoded or copied."""
    if len(text) > MAX_TOKEN_BYTES:
        raise Rejected("token-too-long", f"expected at most {MAX_TOKEN_BYTES} bytes, got {len(text)}", status=401)
