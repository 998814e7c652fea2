"""The cookies: `consent-token`, which the pipeline reads, `consent-session`, which only `/v1/consent` sees, and
`consent-no`, which scripts may write (`consent_core.formats.refusals`).

Names carry the strongest prefix whose rules the cookie can meet: `__Host-` wants `Path=/`, so the session, which must
not travel with every image, has `__Secure-`. Exactly one name of each is active in a deployment.
"""

from dataclasses import dataclass

TOKEN = "consent-token"  # noqa: S105 - the name of a cookie
SESSION = "consent-session"
SESSION_PATH = "/v1/consent"
REFUSALS = "consent-no"
REQUEST = "consent-request"
REQUEST_PATH = "/v1/consent/privacy"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """The names in force, as they appear in the Cookie header, and the attributes that go with them."""

    token: bytes
    session: bytes
    refusals: bytes
    secure: str

    @classmethod
    def choose(cls, secure: bool) -> "CookieNames":
        """Prefixed and `Secure`, or plain for browsers that refuse those."""
        if secure:
            return cls(
                b"__Host-" + TOKEN.encode(), b"__Secure-" + SESSION.encode(), b"__Host-" + REFUSALS.encode(), "; Secure"
            )
        return cls(TOKEN.encode(), SESSION.encode(), REFUSALS.encode(), "")

    def set_token(self, text: str, max_age_s: int) -> bytes:
        """Set-Cookie for a token; a life of 0 clears it."""
        return (
            f"{self.token.decode()}={text}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax{self.secure}"
        ).encode("ascii")

    def set_session(self, secret: str, max_age_s: int) -> bytes:
        """Set-Cookie for a session secret; a life of 0 clears it."""
        name = self.session.decode()
        return (
            f"{name}={secret}; Max-Age={max_age_s}; Path={SESSION_PATH}; HttpOnly; SameSite=Strict{self.secure}"
        ).encode("ascii")

    @property
    def request(self) -> bytes:
        """The cookie that keeps a request's secret in the browser that made it, for the page alone."""
        return (b"__Secure-" if self.secure else b"") + REQUEST.encode()

    def set_request(self, value: str, max_age_s: int) -> bytes:
        """Set-Cookie for a request's id and secret; a life of 0 clears it."""
        name = self.request.decode()
        return (
            f"{name}={value}; Max-Age={max_age_s}; Path={REQUEST_PATH}; HttpOnly; SameSite=Strict{self.secure}"
        ).encode("ascii")

    def set_refusals(self, name: bytes, value: str, max_age_s: int) -> bytes:
        """Set-Cookie for a refusal, which scripts of the page may read and write; a life of 0 clears it."""
        return f"{name.decode()}={value}; Max-Age={max_age_s}; Path=/; SameSite=Lax{self.secure}".encode("ascii")
