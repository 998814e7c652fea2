"""One POP for tests: real stores, sync, pipeline and pictures; native functions; a toy control plane behind it."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.clock import ManualClock
from consent_core.formats.catalogue import Asset, Catalogue, Experiment, Slot
from consent_core.formats.rendition import Focal
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.policy.table import Effective
from consent_core.trust.keys import KeyStore
from runtime_host.pop.app import Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.sources import check_source
from runtime_host.pop.sync import SyncConfig
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction
from tests.runtime_host.sync.toy_plane import Network, ToyPlane, policy_hash

ROOT = Path(__file__).parents[3]
TOKEN_COOKIE = "__Host-consent-token"
SESSION_COOKIE = "__Secure-consent-session"
BROWSER = {"sec-fetch-site": "same-origin", "content-type": "application/json", "host": "127.0.0.1:8081"}
FIELDS = {"plain": 60, "tents": 100, "boats": 140, "arm-a": 180, "arm-b": 220}
TAGS = {
    "plain": (),
    "tents": ("camping", "tent"),
    "boats": ("water", "kayak"),
    "arm-a": ("arm:a",),
    "arm-b": ("arm:b",),
}


@dataclass(frozen=True)
class Table:
    """Law in three lines: `ZZ` allows nothing, the signal stops behavioral in `US-CA`, all else is as chosen."""

    def lookup(self, jurisdiction: str, gpc: bool, choices: tuple[str, ...]) -> Effective:
        off = {"behavioral"} if jurisdiction == "US-CA" and gpc else set(CATEGORIES) if jurisdiction == "ZZ" else set()
        return Effective(tuple(name for name in choices if name not in off), {}, jurisdiction, gpc)


@dataclass(frozen=True)
class TableBundle:
    hash: str
    revision: int
    previous: tuple[str, ...]
    table: Table = field(default_factory=Table)


def open_table_bundle(data: bytes, *_: Any, **__: Any) -> TableBundle:
    value = json.loads(data)
    return TableBundle(value["hash"], value["revision"], tuple(value["previous"]))


@dataclass
class Reply:
    """A response as it left the application."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value.decode() for key, value in self.headers if key == name.encode()), None)

    def cookies(self) -> dict[str, str]:
        return dict(v.decode().partition(";")[0].split("=", 1) for k, v in self.headers if k == b"set-cookie")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.header("consent-edge-code")

    @property
    def fixed(self) -> tuple[Any, ...]:
        """Everything that must be the same for everybody who gets the default."""
        free = {b"date", b"server-timing", b"consent-edge-code"}
        return self.status, tuple(h for h in self.headers if h[0] not in free), self.body


async def ask(app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
    """One request to an ASGI application, without a client library that would tidy it up."""
    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in (headers or {}).items()],
    }
    sent: list[Any] = []
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return Reply(sent[0]["status"], list(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))


@dataclass
class Edge:
    """A POP and the world around it. `get` and friends speak to its public listener."""

    clock: ManualClock
    plane: ToyPlane
    network: Network
    pop: Pop

    async def sync(self) -> None:
        """One round of everything the periodic tasks do."""
        await self.pop.sync.fetch_policy()
        await self.pop.sync.fetch_keys()
        await self.pop.sync.poll()

    def token(self, *scopes: str, **claims: Any) -> str:
        """A token as the control plane issues it."""
        now = self.clock.now()
        values = {
            "iss": self.plane.keys.trust_file().issuer,
            "aud": "edge",
            "sub": "A" * 22,
            "iat": now,
            "exp": now + 300,
            "jti": "t-1",
            "ver": 1,
            "scopes": list(scopes),
            "region": "tokyo-1",
            "hash": policy_hash(1),
            **claims,
        }
        key = self.plane.keys.current("token")
        return jwt.encode(values, _private(key), algorithm="EdDSA", headers={"typ": "consent+jwt", "kid": key.kid})

    async def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        cookie = {} if token is None else {"cookie": f"{TOKEN_COOKIE}={token}"}
        return await ask(self.pop.public_app, "GET", path, {**cookie, **_named(headers)})

    async def send(self, method: str, path: str, value: Any, token: str | None = None, **headers: str) -> Reply:
        cookie = {} if token is None else {"cookie": f"{TOKEN_COOKIE}={token}"}
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await ask(self.pop.public_app, method, path, {**BROWSER, **cookie, **_named(headers)}, body)


def visitor(number: int) -> str:
    """The `sub` of test visitor `number`."""
    return encode_base64url(number.to_bytes(16, "big"))


def make_slot(
    name: str,
    category: str,
    fallback: tuple[str, ...],
    candidates: tuple[str, ...],
    experiment: Experiment | None = None,
) -> Slot:
    """A slot of 120 × 80 that shows `plain` to everybody."""
    return Slot(name, category, fallback, 120, 80, "plain", candidates, None, (0, 0, 0), experiment)


def make_catalogue(directory: Path) -> LoadedCatalogue:
    """One slot per category, five plain grey pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, grey in FIELDS.items():
        image = Image.new_from_array(np.full((80, 120, 3), grey, np.uint8), interpretation="srgb")
        image.jpegsave(str(directory / f"{name}.jpg"))
    assets = {
        name: Asset(name, f"{name}.jpg", TAGS[name], (f"About {name}", f"More {name}"), Focal(), name)
        for name in FIELDS
    }
    either = ("tents", "boats")
    slots = (
        make_slot("home-hero", "contextual", (), either),
        make_slot("member-banner", "behavioral", ("contextual",), either),
        make_slot("promo-tile", "experimental", (), ("arm-a", "arm-b"), Experiment("tile", (("a", 1), ("b", 1)))),
    )
    catalogue = Catalogue({slot.name: slot for slot in slots}, assets)
    return LoadedCatalogue(catalogue, {name: check_source(directory / f"{name}.jpg") for name in FIELDS})


@cache
def native_functions() -> tuple[ConsentValidator, Personalizer]:
    """Both functions, loaded once: they keep nothing between calls."""
    validation = NativeFunction(ROOT / "functions/consent_validation")
    return ConsentValidator(validation), Personalizer(NativeFunction(ROOT / "functions/personalization"))


class Hesitant:
    """A function that lets others run before and after each call. `turns`: how often, call by call; then not at all.

    `meanwhile` is called once, in the middle of the next call.
    """

    def __init__(self, runner: Any, turns: Iterable[int] = ()) -> None:
        self._runner = runner
        self._turns = iter(turns)
        self.name, self.digest, self.export = runner.name, runner.digest, runner.export
        self.meanwhile: Callable[[], Any] | None = None
        self.calls = 0

    async def acall(self, *arguments: Any) -> Any:
        self.calls += 1
        for _ in range(next(self._turns, 0)):
            await asyncio.sleep(0)
        result = await self._runner.acall(*arguments)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await asyncio.sleep(0)
            meanwhile()
        for _ in range(next(self._turns, 0)):
            await asyncio.sleep(0)
        return result

    def call(self, *arguments: Any) -> Any:
        return self._runner.call(*arguments)

    def close(self) -> None:
        pass


def make_edge(directory: Path, catalogue: LoadedCatalogue | None = None, **settings: Any) -> Edge:
    """A POP in `EU` that has not heard from its control plane yet. `parts`: replaces members of `Parts`."""
    clock = ManualClock()
    plane = ToyPlane(settings.pop("keys", None) or KeyStore.open(directory, create=True, clock=clock), clock)
    plane.publish(1)
    network = Network(plane)
    parts = settings.pop("parts", {})
    config = PopConfig(**{"pop": "tokyo-1", "data": directory, "jurisdiction": "EU", **settings})
    validator, personalizer = native_functions()
    made = {
        "trust": plane.keys.trust_file(),
        "catalogue": catalogue or make_catalogue(directory / "art"),
        "validator": validator,
        "personalizers": dict.fromkeys(CATEGORIES, personalizer),
        "client": httpx.AsyncClient(transport=network, base_url="http://control-plane"),
        "sites": {"/": ROOT / "demo/site", "/sdk/": ROOT / "consent_sdk"},
        "sync": SyncConfig(pop=config.pop, home=config.home, push=False),
        "opener": open_table_bundle,
        **parts,
    }
    return Edge(clock, plane, network, build_pop(config, Parts(**made), clock))


def _private(key: Any) -> Ed25519PrivateKey:
    return key.private


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
