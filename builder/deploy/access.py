"""Who we are at a registry: user and password as they are, or traded for a token where the registry asks for that.

A password goes to the registry itself and to one token service: the registry's own host, or the one the operator named.
The client that uses it refuses plain HTTP for every request, the token service's included.

Source: distribution/distribution, docs/spec/auth/token.md; RFC 6750 section 3.
"""

import re
from collections.abc import Generator, Mapping

import httpx

from consent_core.errors import Rejected

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryAuth(httpx.Auth):
    """Answers a registry's challenge once per request; keeps the token for the next. No user: as anybody.

    `realm`: the host of the token service, `host[:port]`, where it is not the registry's own.
    """

    def __init__(self, user: str = "", password: str = "", realm: str = "") -> None:
        self._basic = httpx.BasicAuth(user, password) if user else None
        self._realm = realm
        self._known_basic = False  # once challenged, the password goes along at once: an upload cannot be sent twice
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request, and after a challenge the request again with what was asked for."""
        if self._token:
            request.headers["authorization"] = f"Bearer {self._token}"
        elif self._basic is not None and self._known_basic:
            request = next(self._basic.sync_auth_flow(request))
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED or response.url.netloc != request.url.netloc:
            return  # a challenge by the host that a redirect led to is none of the registry's
        scheme, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        if scheme.lower() == "bearer":
            answer = yield self._token_request(request.url, dict(_CHALLENGE.findall(rest)))
            self._token = _token_in(answer)
            request.headers["authorization"] = f"Bearer {self._token}"
            yield request
        elif self._basic is not None and not self._known_basic:
            self._known_basic = True
            yield next(self._basic.sync_auth_flow(request))

    def _token_request(self, registry: httpx.URL, challenge: Mapping[str, str]) -> httpx.Request:
        asked = {name: challenge[name] for name in ("service", "scope") if name in challenge}
        request = httpx.Request("GET", challenge.get("realm", ""), params=asked)
        if self._basic is None:
            return request
        netloc = request.url.netloc.decode("ascii")
        if netloc != (self._realm or registry.netloc.decode("ascii")):
            raise Rejected(
                "deploy-realm",
                f"the registry wants the password sent to {netloc!r}; if that is right: --realm {netloc}",
            )
        return next(self._basic.sync_auth_flow(request))


def _token_in(answer: httpx.Response) -> str:
    try:
        answer.read()
        value = answer.json()
        token = value.get("token") or value["access_token"]
    except (ValueError, KeyError, AttributeError) as error:
        raise Rejected("deploy-denied", f"the registry's token service answered {answer.status_code}") from error
    return str(token)
