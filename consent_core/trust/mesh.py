"""The guard of every mesh listener: who is calling, is that identity still good, and may it call this.

    app = MeshGuard(app, GuardSettings(trust_domain="ui-tools", clock=clock, authorize=authorize))
    uvicorn.Config(app, http=PeerCertificateProtocol, ssl_context_factory=lambda *_: server_context(source))

`PeerCertificateProtocol` passes the client's certificate on by the ASGI TLS extension, which uvicorn does not;
`MeshGuard` checks it at every request and, on streams, again and again, because TLS looks only once at the
handshake. A caller that passes is `scope["state"]["peer"]`, a `SpiffeId`.

Source: asgi.readthedocs.io, "TLS Extension" 0.2.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography import x509

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.attester import MAX_BODY_BYTES, issuer_of
from consent_core.http.asgi import App, Message, Receive, Scope, Send, read_body, refuse, replay
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import check_certificate, lifetime

# authorize(input) returns nothing and raises Rejected("forbidden-route") if the policy does not allow the call.
Authorize = Callable[[Mapping[str, Any]], None]
# token_scopes(scope) returns the effective categories of a verified consent token in the request, or none.
TokenScopes = Callable[[Scope], Awaitable[tuple[str, ...]]]

RENDER = ("POST", "/v1/render")
ATTESTATIONS = ("POST", "/v1/attestations")
MAX_RENDER_BYTES = 65_536


async def no_token(_: Scope) -> tuple[str, ...]:
    """For listeners that no consent token reaches."""
    return ()


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What a guard decides by. `revoked()`: SPIFFE ids and `serial:<hex>` now revoked.

    `recheck_s`: how often the peer of a request still being answered is checked again.
    `refused(code)` counts. `token_scopes` is asked for `POST /v1/render` alone.
    """

    trust_domain: str
    clock: Clock
    authorize: Authorize
    revoked: Callable[[], AbstractSet[str]] = frozenset
    token_scopes: TokenScopes = no_token
    recheck_s: float = 1.0
    refused: Callable[[str], None] = lambda _: None


class MeshGuard:
    """ASGI middleware: nothing behind it runs for a peer that is unknown, expired, revoked or not allowed."""

    def __init__(self, app: App, settings: GuardSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and authorise one request, then let the application answer it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            certificate = peer_certificate(scope)
            peer = self._check(certificate)
            facts, receive = await self._facts(scope, receive)
            self._settings.authorize(authorization_input(scope, peer, facts))
        except ConsentEdgeError as refusal:
            self._settings.refused(refusal.code)
            return await refuse(send, refusal)
        scope.setdefault("state", {})["peer"] = peer
        return await _Watched(self, certificate, _Answer(send, self._ends_soon(certificate))).run(
            self._app, scope, receive
        )

    @property
    def recheck_s(self) -> float:
        """Seconds between two checks of a peer that is being answered."""
        return self._settings.recheck_s

    def _check(self, certificate: x509.Certificate) -> SpiffeId:
        settings = self._settings
        return check_certificate(certificate, settings.trust_domain, settings.clock.now(), settings.revoked())

    def _ends_soon(self, certificate: x509.Certificate) -> bool:
        """In the last third of its life: the client has a newer one by now and should come back with it."""
        begin, end = lifetime(certificate)
        return self._settings.clock.now() > end - (end - begin) / 3

    async def _facts(self, scope: Scope, receive: Receive) -> tuple["CallFacts", Receive]:
        called = (scope["method"], scope["path"])
        if called == ATTESTATIONS:
            body = await read_body(receive, MAX_BODY_BYTES)
            return CallFacts(region=issuer_of(body)), replay(body, receive)
        if called != RENDER:
            return CallFacts(), receive
        body = await read_body(receive, MAX_RENDER_BYTES)
        scopes = await self._settings.token_scopes(scope)
        return _render_facts(body, scopes), replay(body, receive)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What `personalization.authz` knows of a call beside its route and caller; nothing for all but two routes.

    region: of a render, the POP asked for; of attestations, the one place that all lines say they are by.
    """

    scopes: tuple[str, ...] = ()
    scope: str | None = None
    region: str | None = None


def peer_certificate(scope: Scope) -> x509.Certificate:
    """The client's certificate of this connection. Raises: Rejected("no-certificate" | "certificate-malformed")."""
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    if not chain:
        raise Rejected("no-certificate", "this listener is for workloads with an SVID", status=401)
    return _certificate(chain[0])


def authorization_input(scope: Scope, peer: SpiffeId, facts: CallFacts) -> dict[str, Any]:
    """The documented input of `personalization.authz`, no field more and none less."""
    return {
        "method": scope["method"],
        "path": _segments(scope["path"]),
        "jwt": {"scopes": list(facts.scopes)},
        "request": {"payload": {"scope": facts.scope}, "region": facts.region},
        "mtls": {"spiffe_id": str(peer)},
    }


def _segments(path: str) -> list[str]:
    segments = path.removeprefix("/").split("/") if path != "/" else []
    if any(segment in {"", ".", ".."} for segment in segments):
        raise Rejected("forbidden-route", "a path with empty or dot segments", status=403)
    return segments


@lru_cache(maxsize=1024)
def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError as error:
        raise Rejected("certificate-malformed", "the certificate cannot be read", status=401) from error


def _render_facts(body: bytes, scopes: tuple[str, ...]) -> CallFacts:
    try:
        value = json.loads(body)
        scope, region = value["payload"]["scope"], value["region"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Rejected("render-malformed", "expected slot, payload with scope, and region") from error
    if not isinstance(scope, str) or not isinstance(region, str):
        raise Rejected("render-malformed", "scope and region are strings")
    return CallFacts(scopes, scope, region)


class _Answer:
    """The way back to one client: remembers how far the answer got, and asks it to reconnect if `last`."""

    def __init__(self, send: Send, last: bool) -> None:
        self._send = send
        self._last = last
        self.started = self.complete = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.started = True
            if self._last:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
        await self._send(message)

    async def end(self, refusal: Rejected) -> None:
        """Say so if nothing was sent yet; cut the stream cleanly if it was."""
        if not self.started:
            await refuse(self._send, refusal)
        elif not self.complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _Watched:
    """One request being answered while its peer is checked again and again."""

    def __init__(self, guard: MeshGuard, certificate: x509.Certificate, answer: _Answer) -> None:
        self._guard = guard
        self._certificate = certificate
        self._answer = answer

    async def run(self, app: App, scope: Scope, receive: Receive) -> None:
        """Until the application is done, or its peer is no longer who it was."""
        task = asyncio.ensure_future(app(scope, receive, self._answer))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=self._guard.recheck_s)
                if not task.done():
                    self._guard._check(self._certificate)
        except Rejected as refusal:
            self._guard._settings.refused(refusal.code)
            await _cancel(task)
            return await self._answer.end(refusal)
        except asyncio.CancelledError:
            await _cancel(task)
            raise
        return task.result()


async def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
