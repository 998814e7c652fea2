"""Which token a request presents: from the cookie, from `Authorization: Bearer`, or none.

Whatever is doubtful about a browser's cookies ends in the default response; only a client that names two different
tokens on purpose is told off.
"""

from consent_core.errors import Rejected
from runtime_host.pop.serving.cookies import check_length, find_cookie
from runtime_host.pop.serving.ingress import Headers

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
