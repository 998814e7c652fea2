"""The mesh over real sockets: who gets in, who is cut off, and what survives a rotation."""

import asyncio
import contextlib
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from consent_core.clock import SystemClock
from consent_core.errors import Rejected
from consent_core.http.asgi import Receive, Scope, Send
from consent_core.http.peer import PeerCertificateProtocol
from consent_core.trust.mesh import GuardSettings, MeshGuard
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, Svid, serial_name
from consent_core.trust.tls import refusal_code, server_context

from .conftest import POP, Forge, Forgery

PLANE = SpiffeId.of("ui-tools", "control-plane", "main")


@dataclass
class Held:
    """A source that holds whatever it is given."""

    svid: Svid

    def current(self) -> Svid:
        return self.svid

    def refresh(self) -> None:
        """Nothing: the test gives it the next one."""


@dataclass
class Mesh:
    """One guarded server on a loopback port. `inputs`: what the policy was asked."""

    ca: DevelopmentCa
    clock: SystemClock = field(default_factory=SystemClock)
    inputs: list[Mapping[str, Any]] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def __post_init__(self) -> None:
        self.source = Held(self.ca.issue(PLANE))

    def authorize(self, call: Mapping[str, Any]) -> None:
        """A policy that only forbids `/v1/forbidden`."""
        self.inputs.append(call)
        if call["path"] == ["v1", "forbidden"]:
            raise Rejected("forbidden-route", status=403)

    async def scopes(self, _: Scope) -> tuple[str, ...]:
        """A token that was checked and carries one category."""
        return ("contextual",)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the peer and the body; `/v1/stream` never ends by itself."""
        if scope["path"] == "/v1/slow":
            self.waiting.set()
            await asyncio.Event().wait()
        body = (await receive())["body"] if scope["method"] == "POST" else b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = str(scope["state"]["peer"]).encode() + b" " + body
        await send({"type": "http.response.body", "body": text, "more_body": scope["path"] == "/v1/stream"})
        while scope["path"] == "/v1/stream":
            await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": b".", "more_body": True})

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Mesh"]:
        """Serve until the block ends."""
        settings = GuardSettings(
            trust_domain="ui-tools",
            clock=self.clock,
            authorize=self.authorize,
            revoked=lambda: self.revoked,
            token_scopes=self.scopes,
            recheck_s=0.05,
            refused=self.refusals.append,
        )
        config = uvicorn.Config(
            MeshGuard(self.app, settings),
            http=PeerCertificateProtocol,
            ws="none",
            ssl_context_factory=lambda *_: server_context(self.source, self.refusals.append),
            log_level="critical",
            lifespan="off",
        )
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            config.load()
            server.lifespan = config.lifespan_class(config)
            await server.startup(sockets=[listener])
            try:
                yield self
            finally:
                server.force_exit = True
                await server.shutdown(sockets=[listener])

    def client(self, svid: Svid, role: str = "control-plane", name: str | None = None) -> httpx.AsyncClient:
        """A client that shows `svid`."""
        return mesh_client(Held(svid), self.clock, self.url, role=role, name=name)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


def run(mesh: Mesh, scenario: Callable[[Mesh], Coroutine[Any, Any, None]]) -> None:
    """Serve while `scenario` talks."""

    async def serve() -> None:
        async with mesh.serving(), asyncio.timeout(240):  # what ought to end and does not is a failure
            await scenario(mesh)

    asyncio.run(serve())


def plain_context(mesh: Mesh, svid: Svid | None) -> ssl.SSLContext:
    """A TLS client that shows whatever it is given and asks nothing about the server's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=mesh.source.svid.bundle_pem.decode())
    if svid is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(svid.key_pem + svid.chain_pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


@pytest.fixture
def mesh(ca: DevelopmentCa) -> Mesh:
    return Mesh(ca)


def test_the_application_learns_who_calls(mesh: Mesh) -> None:
    """The peer's id reaches the application, and the policy sees exactly the documented input."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            answer = await client.get("/v1/edge-state?x=1")
        assert answer.text == f"{POP} "

    run(mesh, scenario)
    assert mesh.inputs == [
        {
            "method": "GET",
            "path": ["v1", "edge-state"],
            "jwt": {"scopes": []},
            "request": {"payload": {"scope": None}, "region": None},
            "mtls": {"spiffe_id": "spiffe://ui-tools/edge/tokyo-1"},
        }
    ]


def test_render_is_authorised_by_its_body_and_token(mesh: Mesh) -> None:
    """The policy sees scope, region and the token's scopes; the application still gets the body."""
    body = {"slot": "home-hero", "payload": {"scope": "contextual"}, "region": "tokyo-1"}

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            answer = await client.post("/v1/render", json=body)
        assert answer.text.endswith('"region":"tokyo-1"}')

    run(mesh, scenario)
    assert mesh.inputs[0]["jwt"] == {"scopes": ["contextual"]}
    assert mesh.inputs[0]["request"] == {"payload": {"scope": "contextual"}, "region": "tokyo-1"}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "render-malformed"),
        (b"[]", 400, "render-malformed"),
        (b'{"payload":{}}', 400, "render-malformed"),
        (b'{"payload":{"scope":["contextual"]},"region":"tokyo-1"}', 400, "render-malformed"),
        (b'{"payload":{"scope":"contextual"},"region":7}', 400, "render-malformed"),
        (b"[" * 60_000, 400, "render-malformed"),
        (b" " * 70_000, 413, "body-too-large"),
    ],
)
def test_a_malformed_render_is_refused(mesh: Mesh, content: bytes, status: int, code: str) -> None:
    """A body that does not say scope and region never reaches policy or application."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            answer = await client.post("/v1/render", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    run(mesh, scenario)
    assert mesh.inputs == []


def test_what_the_policy_forbids_is_refused(mesh: Mesh) -> None:
    """403 with a code, and counted."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            answer = await client.get("/v1/forbidden")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden-route")

    run(mesh, scenario)
    assert mesh.refusals == ["forbidden-route"]


@pytest.mark.parametrize("path", ["/v1//edge-state", "/v1/edge-state/", "/v1/%2e%2e/edge-state", "//"])
def test_paths_that_mean_two_things_are_refused(mesh: Mesh, path: str) -> None:
    """An empty or dot segment is refused before the policy is asked."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            answer = await client.get(f"{mesh.url}{path}")
        assert answer.json()["error"]["code"] == "forbidden-route"

    run(mesh, scenario)
    assert mesh.inputs == []


@pytest.mark.parametrize(
    ("forgery", "code"),
    [
        (Forgery(uris=("spiffe://elsewhere/edge/x",)), "spiffe-foreign-domain"),
        (Forgery(uris=(str(POP), "spiffe://ui-tools/edge/y")), "certificate-uri"),
        (Forgery(uris=()), "certificate-uri"),
        (Forgery(uris=("spiffe://ui-tools/edge/%41",)), "spiffe-id"),
        (Forgery(ca=True), "certificate-ca"),
    ],
)
def test_forged_certificates_of_our_own_authority_are_refused(
    mesh: Mesh, forge: Forge, forgery: Forgery, code: str
) -> None:
    """TLS accepts the chain; the guard refuses the identity."""

    async def scenario(mesh: Mesh) -> None:
        async with httpx.AsyncClient(verify=plain_context(mesh, forge(forgery)), trust_env=False, timeout=60) as client:
            answer = await client.get(f"{mesh.url}/v1/x")
        assert (answer.json()["error"]["code"], answer.status_code in (401, 403)) == (code, True)

    run(mesh, scenario)
    assert mesh.inputs == []


@pytest.mark.parametrize(
    ("case", "code"),
    [("none", "no-certificate"), ("expired", "certificate-expired"), ("stranger", "certificate-foreign-domain")],
)
def test_tls_refuses_what_it_can_see(
    mesh: Mesh, forge: Forge, tmp_path_factory: pytest.TempPathFactory, case: str, code: str
) -> None:
    """No certificate, an expired one and one of another authority do not survive the handshake, and say why."""

    stranger = DevelopmentCa.open(tmp_path_factory.mktemp("other"), "ui-tools", create=True)
    shown = {"none": None, "stranger": stranger.issue(POP), "expired": forge(Forgery(starts_in_s=-99, ends_in_s=-9))}

    async def scenario(mesh: Mesh) -> None:
        async with httpx.AsyncClient(verify=plain_context(mesh, shown[case]), trust_env=False, timeout=60) as client:
            with pytest.raises(ssl.SSLError) as refusal:
                await client.get(f"{mesh.url}/v1/x")
        assert refusal_code(refusal.value) == code

    run(mesh, scenario)
    assert mesh.refusals == [code]


@pytest.mark.parametrize(("role", "name"), [("edge", None), ("control-plane", "other")])
def test_a_client_talks_only_to_the_workload_it_means(mesh: Mesh, role: str, name: str | None) -> None:
    """A good certificate of somebody else ends the connection before a byte is sent."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP), role, name) as client:
            with pytest.raises(httpx.ConnectError) as refusal:
                await client.get("/v1/x")
        assert refusal_code(refusal.value) == "certificate-other-peer"

    run(mesh, scenario)
    assert mesh.inputs == []


def test_a_client_refuses_a_server_of_another_authority(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same domain name under another authority is a stranger."""
    stranger = DevelopmentCa.open(tmp_path_factory.mktemp("other"), "ui-tools", create=True)

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(stranger.issue(POP)) as client:
            with pytest.raises(httpx.ConnectError) as refusal:
                await client.get("/v1/x")
        assert refusal_code(refusal.value) == "certificate-foreign-domain"

    run(mesh, scenario)


def test_a_server_that_refuses_us_is_an_ordinary_connection_error(mesh: Mesh, forge: Forge) -> None:
    """Callers that retry on `httpx.ConnectError` need not know about TLS, and can still read the code."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(forge(Forgery(starts_in_s=-99, ends_in_s=-9))) as client:
            with pytest.raises(httpx.ConnectError) as refusal:
                await client.get("/v1/x")
        assert refusal_code(refusal.value) == "certificate-expired"

    run(mesh, scenario)


@pytest.mark.parametrize("by", ["id", "serial"])
def test_a_kept_alive_connection_is_refused_once_revoked(mesh: Mesh, by: str) -> None:
    """Revocation counts from the next request on, without a new handshake."""
    svid = mesh.ca.issue(POP)

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(svid) as client:
            assert (await client.get("/v1/x")).status_code == 200
            mesh.revoked.add(str(POP) if by == "id" else serial_name(svid.leaf))
            answer = await client.get("/v1/x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "certificate-revoked")

    run(mesh, scenario)


def test_a_kept_alive_connection_is_refused_once_expired(mesh: Mesh, forge: Forge) -> None:
    """An expired certificate is refused per request, although TLS looked only once."""

    @dataclass
    class Shifted(SystemClock):
        ahead: int = 0

        def now(self) -> int:
            return super().now() + self.ahead

    clock = mesh.clock = Shifted()

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(forge(Forgery(ends_in_s=3600))) as client:
            assert (await client.get("/v1/x")).status_code == 200
            clock.ahead = 3601
            answer = await client.get("/v1/x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "certificate-expired")

    run(mesh, scenario)


def test_an_open_stream_ends_when_its_peer_is_revoked(mesh: Mesh) -> None:
    """A stream does not outlive the identity that opened it."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client, client.stream("GET", "/v1/stream") as answer:
            chunks = answer.aiter_raw()
            assert await anext(chunks) == f"{POP} ".encode()
            mesh.revoked.add(str(POP))
            async for _ in chunks:
                pass

    run(mesh, scenario)
    assert mesh.refusals == ["certificate-revoked"]


def test_a_slow_request_is_refused_when_its_peer_is_revoked(mesh: Mesh) -> None:
    """Nothing was answered yet: the answer is the refusal."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(mesh.ca.issue(POP)) as client:
            request = asyncio.ensure_future(client.get("/v1/slow"))
            await mesh.waiting.wait()
            mesh.revoked.add(str(POP))
            answer = await request
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "certificate-revoked")

    run(mesh, scenario)


def test_rotations_on_both_sides_drop_no_request(mesh: Mesh) -> None:
    """Four clients ask without pause while both sides rotate three times: every answer is 200."""
    source = Held(mesh.ca.issue(POP))

    async def ask(client: httpx.AsyncClient, done: asyncio.Event) -> int:
        count = 0
        while not done.is_set():
            assert (await client.get("/v1/x")).status_code == 200
            count += 1
        return count

    async def scenario(mesh: Mesh) -> None:
        done = asyncio.Event()
        async with mesh_client(source, mesh.clock, mesh.url, role="control-plane") as client:
            asking = [asyncio.ensure_future(ask(client, done)) for _ in range(4)]
            for _ in range(3):
                await asyncio.sleep(0.1)
                source.svid, mesh.source.svid = mesh.ca.issue(POP), mesh.ca.issue(PLANE)
            await asyncio.sleep(0.1)
            done.set()
            counts = await asyncio.gather(*asking)
        async with mesh_client(source, mesh.clock, mesh.url, role="control-plane") as client:
            assert (await client.get("/v1/x")).status_code == 200
        assert min(counts) > 0

    run(mesh, scenario)
    assert mesh.refusals == []


def test_no_connection_outlives_its_certificate(mesh: Mesh) -> None:
    """However busy it is: after a rotation the next request shows the new certificate, and old connections close."""
    old = mesh.ca.issue(POP)
    source = Held(old)

    async def scenario(mesh: Mesh) -> None:
        async with mesh_client(source, mesh.clock, mesh.url, role="control-plane") as client:
            assert (await client.get("/v1/x")).status_code == 200
            source.svid = mesh.ca.issue(POP)
            mesh.revoked = frozenset({serial_name(old.leaf)})
            assert (await client.get("/v1/x")).status_code == 200
            assert len(client._transport._inner._open) == 1

    run(mesh, scenario)
    assert mesh.refusals == []


def test_a_client_near_its_expiry_is_asked_to_reconnect(mesh: Mesh, forge: Forge) -> None:
    """In the last third of a certificate's life the connection closes after the answer, so none is cut later."""

    async def scenario(mesh: Mesh) -> None:
        async with mesh.client(forge(Forgery(starts_in_s=-3600, ends_in_s=300))) as client:
            assert (await client.get("/v1/x")).headers["connection"] == "close"
        async with mesh.client(mesh.ca.issue(POP)) as client:
            assert "connection" not in (await client.get("/v1/x")).headers

    run(mesh, scenario)


def test_without_tls_nobody_passes(mesh: Mesh) -> None:
    """A guard behind a plain listener refuses everyone."""
    settings = GuardSettings("ui-tools", SystemClock(), authorize=mesh.authorize)

    async def scenario() -> None:
        transport = httpx.ASGITransport(MeshGuard(mesh.app, settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://mesh") as client:
            answer = await client.get("/v1/x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no-certificate")

    asyncio.run(scenario())
