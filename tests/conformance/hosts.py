"""The hosts of the suite behind one question: what does this one answer to this request?

native         a POP with the functions' own Python
runtime_host   a POP with their components
wasmtime       `wasmtime serve` with edge_http, an instance per request
wash           wasmCloud's `wash dev` with edge_http
jco            edge_http as JavaScript on Node
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from consent_core.clock import SystemClock
from consent_core.formats.token import CATEGORIES
from latency_gate import peers
from runtime_host.pop.app import POP_KEY as POP_KEY_FILE
from runtime_host.pop.app import RENDITION_KEY as RENDITION_KEY_FILE
from runtime_host.pop.app import Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.sync import SyncConfig
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction

from .world import GEO_HEADER, POP_KEY, RENDITION_KEY, ROOT, StateServer, World

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


Start = Callable[[World, Path, Path], AbstractContextManager[Host]]


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
        if self._world.condition != "fresh" and self._pop.sync.trust_state.in_sync():
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
        SandboxPool(load_component(components / name, trust, now=0, revoked=frozenset()))
        for name in ("consent_validation", "personalization")
    ]
    host = PopHost(world, directory, ConsentValidator(pools[0]), Personalizer(pools[1]))
    yield host
    host.close()
    for pool in pools:
        pool.close()


# ── processes of their own ───────────────────────────────────────────────────────────────────────────────────────────


class HttpHost:
    """Something that listens."""

    def __init__(self, server: peers.Server) -> None:
        self.port = server.port

    def ask(self, method: str, target: str, headers: Pairs) -> Reply:
        response = peers.get(self.port, target, headers, method)
        return make_reply(response.status, response.getheaders(), response.text)


def _outside(peer: peers.Peer) -> Start:
    """A peer with `edge_http`, which asks the world's control plane over a socket."""

    @contextlib.contextmanager
    def start(world: World, directory: Path, components: Path) -> Iterator[HttpHost]:
        states = StateServer(world)
        try:
            component = components / "edge_http" / "edge_http.wasm"
            with peer(component, world.environment(states.url), directory) as server:
                yield HttpHost(server)
        finally:
            states.close()

    return start


HOSTS: dict[str, Start] = {
    "native": native,
    "runtime_host": runtime_host,
    "wasmtime": _outside(peers.wasmtime),
    "wash": _outside(peers.wash),
    "jco": _outside(peers.jco),
}
FAST = ("native", "runtime_host", "wasmtime")
