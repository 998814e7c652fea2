"""The two cookies: `consent-token`, which the pipeline reads, and `consent-session`, which only `/v1/consent` sees.

Names carry the strongest prefix whose rules the cookie can meet: `__Host-` wants `Path=/`, so the session, which must
not travel with every image, has `__Secure-`. Exactly one name of each is active in a deployment.
"""

import secrets
from dataclasses import dataclass

from consent_core.formats.session import SECRET_BYTES, write_secret

TOKEN = "consent-token"  # noqa: S105 - the name of a cookie
SESSION = "consent-session"
SESSION_PATH = "/v1/consent"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """The names in force, as they appear in the Cookie header, and the attributes that go with them."""

    token: bytes
    session: bytes
    secure: str

    @classmethod
    def choose(cls, secure: bool) -> "CookieNames":
        """Prefixed and `Secure`, or plain for browsers that refuse those."""
        if secure:
            return cls(b"__Host-" + TOKEN.encode(), b"__Secure-" + SESSION.encode(), "; Secure")
        return cls(TOKEN.encode(), SESSION.encode(), "")

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


def new_secret() -> str:
    """A fresh session secret: 256 random bits. Only the browser keeps it."""
    return write_secret(secrets.token_bytes(SECRET_BYTES))
