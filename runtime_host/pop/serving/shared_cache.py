"""What a cache that many visitors share may keep: the default's picture, for requests that bring no credential.

    shared = SharedCache(300)
    shared.headers(request)       # None: this answer is for one visitor

A request with anything that looks like a token, valid or not, is private; so is one with `Authorization`. The answer
without is the same for everybody who asks for these pixels in this format, so it says nothing of when or why it was
made: no `Server-Timing`, no `Consent-Edge-Code`, and `Vary` without `Cookie`.
"""

from consent_core.decision.request import Headers
from consent_core.http.answers import INERT, Header

TOKEN = b"consent-token"  # in every name that the cookie may have
VARY_SHARED: Header = (b"vary", b"Accept, Authorization, Sec-CH-DPR, DPR, Save-Data")


class SharedCache:
    """How long shared caches may keep a default, in seconds; browsers ask again each time."""

    def __init__(self, seconds: int) -> None:
        keep = f"public, max-age=0, s-maxage={seconds}".encode("ascii")
        self._headers: tuple[Header, ...] = ((b"cache-control", keep), VARY_SHARED, *INERT)

    def headers(self, request: Headers) -> tuple[Header, ...] | None:
        """The headers of an answer for everybody; None where this request may be somebody's."""
        if b"authorization" in request or TOKEN in request.get(b"cookie", b""):
            return None
        return self._headers
