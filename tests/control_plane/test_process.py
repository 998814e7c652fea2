"""The running process: two listeners, mutual TLS, hints, clean stops, two starts at once, kill -9."""

import asyncio
import contextlib
import shutil
import signal
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError

from consent_core.clock import SystemClock
from consent_core.formats.consent import read_answer, write_request
from consent_core.formats.revocation import open_answer
from consent_core.nats_hints import STREAM, SUBJECT
from consent_core.resources import ROOT
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import open_source
from control_plane.app import create_app
from control_plane.log import hints
from control_plane.process import Running, serving
from control_plane.settings import Settings
from tests.control_plane.conftest import POP, Browser
from tests.nats_server import NatsServer


@pytest.fixture(scope="module")
def started_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of the machine's own time, because TLS asks no injected clock."""
    directory = tmp_path_factory.mktemp("now")
    create_app(Settings(data=directory)).close()
    return directory


@pytest.fixture
def free_ports(started_once: Path, tmp_path: Path) -> Settings:
    data = tmp_path / "data"
    shutil.copytree(started_once, data)
    return Settings(data=data, public_port=0, mesh_port=0, clock=SystemClock())


def client(running: Running, role: str, name: str) -> httpx.AsyncClient:
    settings = running.plane.settings
    source = open_source(settings.data, SpiffeId.of("ui-tools", role, name), clock=settings.clock)
    return mesh_client(source, settings.clock, f"https://127.0.0.1:{running.mesh_port}", role="control-plane")


def test_the_mesh_serves_whom_it_knows(free_ports):
    """A POP grants, refreshes and polls over mutual TLS; the public listener describes all routes."""

    async def scenario() -> None:
        async with (
            serving(free_ports) as running,
            client(running, "edge", POP) as pop,
            httpx.AsyncClient(timeout=60) as anybody,
        ):
            request = Browser(running.plane).request("contextual")
            granted = await pop.post("/v1/consents", content=write_request(request))
            polled = await pop.get("/v1/revocations", params={"after": 0, "nonce": "n"})
            docs = await anybody.get(f"http://127.0.0.1:{running.public_port}/docs")
            public = await anybody.post(f"http://127.0.0.1:{running.public_port}/v1/consents")

        assert read_answer(granted.content).categories == ("contextual",)
        assert (
            open_answer(polled.content, running.plane.keys.trust_file(), "n", after=0, now=0, revoked=frozenset()).head
            == 1
        )
        assert (docs.status_code, public.status_code) == (200, 404)

    asyncio.run(scenario())


def test_the_mesh_refuses_the_others(free_ports):
    """No certificate, another POP's name, a route of another role."""

    async def scenario() -> None:
        async with serving(free_ports) as running, client(running, "edge", "osaka-1") as pop:
            body = write_request(Browser(running.plane).request("contextual"))
            spoofed = await pop.post("/v1/consents", content=body)
            revoking = await pop.post("/v1/revocations", json={"kind": "model", "model": "m"})
            async with httpx.AsyncClient(verify=False, timeout=60) as nobody:
                with pytest.raises((httpx.TransportError, ssl.SSLError)):
                    await nobody.get(f"https://127.0.0.1:{running.mesh_port}/v1/revocations")

        assert (spoofed.status_code, spoofed.json()["error"]["code"]) == (403, "pop-mismatch")
        assert (revoking.status_code, revoking.json()["error"]["code"]) == (403, "forbidden-route")
        assert running.plane.failures[("rejected", "pop-mismatch")] == 1

    asyncio.run(scenario())


def test_a_revoked_workload_is_refused_at_its_next_request(free_ports):
    """The same open connection; the entry in the log is enough."""

    async def scenario() -> None:
        async with serving(free_ports) as running, client(running, "edge", POP) as pop:
            before = await pop.get("/.well-known/jwks.json")
            async with client(running, "operator", "ops") as operator:
                body = {"kind": "key", "kid": f"spiffe://ui-tools/edge/{POP}"}
                revoked = await operator.post("/v1/revocations", json=body)
            after = await pop.get("/.well-known/jwks.json")

        assert (before.status_code, revoked.status_code) == (200, 200)
        assert (after.status_code, after.json()["error"]["code"]) == (403, "certificate-revoked")

    asyncio.run(scenario())


def test_the_stream_and_the_long_poll_hear_of_a_commit(free_ports, monkeypatch):
    """A commit in a worker thread wakes both at once, without the store being asked again."""
    monkeypatch.setattr(hints, "RECHECK_S", 3600.0)

    async def scenario() -> None:
        plain = replace(free_ports, mutual_tls=False)
        async with serving(plain) as running, httpx.AsyncClient(timeout=120) as pop:
            base = f"http://127.0.0.1:{running.mesh_port}/v1/revocations"
            async with pop.stream("GET", f"{base}/stream") as stream:
                lines = stream.aiter_lines()
                first = [await anext(lines) for _ in range(3)]
                poll = asyncio.create_task(pop.get(base, params={"after": 1, "wait": 20, "nonce": "n"}))
                await asyncio.sleep(0.05)
                visitor = Browser(running.plane)
                await asyncio.to_thread(visitor.grant, "contextual")
                await asyncio.to_thread(visitor.withdraw)
                second = [await anext(lines) for _ in range(3)]
                polled = await poll

        assert first == ["event: head", 'data: {"head": 1}', ""]
        assert second == ["event: head", 'data: {"head": 2}', ""]
        assert [entry["seq"] for entry in polled.json()["entries"]] == [2]

    asyncio.run(asyncio.wait_for(scenario(), 240))


def test_a_commit_is_published_over_nats(free_ports, tmp_path):
    """With `push_url` the newest head lies at the NATS server, which may come later than the control plane."""
    server = NatsServer(tmp_path)

    async def scenario() -> None:
        async with serving(replace(free_ports, push_url=server.url)) as running:
            await asyncio.to_thread(server.start)
            client = await nats.connect(server.url)
            visitor = Browser(running.plane)
            await asyncio.to_thread(visitor.grant, "contextual")
            await asyncio.to_thread(visitor.withdraw)
            while await newest(client) != b"2":  # noqa: ASYNC110  the server offers no event
                await asyncio.sleep(0.01)
            await client.close()

    async def newest(client: Client) -> bytes | None:
        try:
            return (await client.jetstream().get_last_msg(STREAM, SUBJECT)).data
        except (NotFoundError, NoRespondersError):
            return None

    try:
        asyncio.run(asyncio.wait_for(scenario(), 240))
    finally:
        server.kill()


def test_a_commit_by_another_process_is_noticed(free_ports):
    """Two processes over one store: the waiting one looks for itself."""

    async def scenario() -> None:
        other = create_app(free_ports)
        async with serving(replace(free_ports, mutual_tls=False)) as running:
            waiting = asyncio.create_task(running.plane.log.hints.beyond(1, 30))
            await asyncio.sleep(0.05)
            visitor = Browser(other)
            await asyncio.to_thread(visitor.grant, "contextual")
            await asyncio.to_thread(visitor.withdraw)
            assert await waiting == 2
        other.close()

    asyncio.run(asyncio.wait_for(scenario(), 240))


def test_an_idle_long_poll_answers_when_its_time_is_over(free_ports):
    """The answer is signed and has the unchanged head: that keeps an idle POP in sync."""

    async def scenario() -> httpx.Response:
        async with serving(replace(free_ports, mutual_tls=False)) as running, httpx.AsyncClient(timeout=120) as pop:
            url = f"http://127.0.0.1:{running.mesh_port}/v1/revocations"
            return await pop.get(url, params={"after": 1, "wait": 1, "nonce": "n"})

    answer = asyncio.run(scenario())

    assert (answer.status_code, answer.json()["entries"], answer.json()["head"]) == (200, [], 1)


HOSTILE = {
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a head without end": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000,
    "silence": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: ",
    "trailers without end": b"POST /v1/consents HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
    + b"a" * 1_000_000,
}


def test_both_listeners_are_bounded(free_ports, monkeypatch):
    """What is too long is cut off, what is silent or half-open is closed, on the public and on the mesh listener."""
    monkeypatch.setattr("consent_core.http.bounded.RECEIVE_S", 0.1)

    async def closed(port: int, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        read = b""
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            read = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        return read

    async def scenario() -> list[bytes]:
        async with serving(replace(free_ports, mutual_tls=False)) as running:
            ports = (running.public_port, running.mesh_port)
            return [await closed(port, data) for port in ports for data in HOSTILE.values()]

    assert not any(b" 200 " in answer for answer in asyncio.run(scenario()))


def test_a_taken_port_is_an_error_before_anything_is_made(tmp_path):
    """Not half a control plane."""

    async def scenario() -> None:
        async with asyncio.timeout(240):
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(OSError, match="in use"):
                async with serving(Settings(data=tmp_path / "new", public_port=0, mesh_port=port)):
                    pass
            server.close()

    asyncio.run(scenario())

    assert not (tmp_path / "new").exists()


PROGRAM = """
import sys
from pathlib import Path
from control_plane.process import run
from control_plane.settings import Settings
run(Settings(data=Path(sys.argv[1]), public_port=0, mesh_port=0, maintain_every_s=0.01))
"""
FIRST_START = """
import sys
from pathlib import Path
from control_plane.app import create_app
from control_plane.settings import Settings
create_app(Settings(data=Path(sys.argv[1]))).close()
"""


def start(program: str, data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "error", "-c", program, str(data)], cwd=ROOT)


def test_two_first_starts_at_once_make_one_control_plane(tmp_path):
    """One origin, one set of keys, one policy in force."""
    starts = [start(FIRST_START, tmp_path) for _ in range(2)]

    assert [process.wait(240) for process in starts] == [0, 0]
    plane = create_app(Settings(data=tmp_path))
    assert plane.log.head() == 1
    assert len(plane.keys.all("token")) == 1
    plane.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_stops_when_told_and_starts_again_after_anything(free_ports, number):
    """SIGTERM ends it cleanly, SIGKILL harms nothing."""
    process = start(PROGRAM, free_ports.data)
    svid = free_ports.data / "svid" / "control-plane-main" / "cert.pem"
    while not svid.exists():
        assert process.poll() is None
        asyncio.run(asyncio.sleep(0.02))
    asyncio.run(asyncio.sleep(0.2))
    process.send_signal(number)

    assert process.wait(240) == (0 if number == signal.SIGTERM else -number)
    plane = create_app(free_ports)
    assert Browser(plane).grant("contextual").ver == 1
    plane.close()
