"""A POP with the real control plane behind it, in one process, and browsers that keep cookies as browsers do."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from consent_core.clock import ManualClock
from consent_core.formats.token import CATEGORIES
from control_plane.app import ControlPlane, create_app
from control_plane.settings import Settings
from runtime_host.pop.app import Parts, Pop, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.sync import SyncConfig
from tests.runtime_host.pop.edge import BROWSER, Reply, ask, make_catalogue, native_functions

HERO = "/v1/slots/home-hero?section=camping"


class Cable(httpx.AsyncBaseTransport):
    """Between a POP and its control plane. `cut`: nothing passes. `lose_answers`: requests arrive, answers do not.

    `before_answer`: called once, after the control plane has answered and before the POP hears it.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._inner = httpx.ASGITransport(plane.mesh_app)
        self.cut = False
        self.lose_answers = False
        self.before_answer: Any = None
        self.requests: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("cut")
        self.requests.append((request.method, request.url.path))
        response = await self._inner.handle_async_request(request)
        if self.before_answer is not None:
            before, self.before_answer = self.before_answer, None
            await before()
        if self.lose_answers:
            raise httpx.ReadError("lost")
        return response


@dataclass
class Browser:
    """One visitor's browser at one POP. `jar`: name → (value, path); `headers`: sent with every request."""

    pop: Pop
    headers: dict[str, str] = field(default_factory=dict)
    jar: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, value: Any = None, **headers: str) -> Reply:
        cookies = "; ".join(f"{n}={v}" for n, (v, where) in self.jar.items() if path.startswith(where))
        sent = {**BROWSER, **self.headers, **({"cookie": cookies} if cookies else {})}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        body = b"" if value is None else json.dumps(value).encode()
        reply = await ask(self.pop.public_app, method, path, sent, body)
        for key, text in reply.headers:
            if key == b"set-cookie":
                self._keep(text.decode())
        return reply

    def _keep(self, text: str) -> None:
        pair, *attributes = text.split("; ")
        name, value = pair.split("=", 1)
        where = next(a.removeprefix("Path=") for a in attributes if a.startswith("Path="))
        if "Max-Age=0" in attributes:
            self.jar.pop(name, None)
        else:
            self.jar[name] = (value, where)

    async def grant(self, *choices: str, **more: Any) -> Reply:
        return await self.ask("POST", "/v1/consent", {"grant": list(choices), **more})

    async def withdraw(self, *categories: str) -> Reply:
        return await self.ask("DELETE", "/v1/consent", {"categories": list(categories)} if categories else {})

    async def shown(self, path: str = HERO) -> str:
        """The category whose decision this browser sees in a slot."""
        return (await self.ask("GET", path)).json()["category"]


@dataclass
class Shop:
    """Everything behind the browsers."""

    clock: ManualClock
    plane: ControlPlane
    cable: Cable
    pop: Pop
    directory: Path

    async def sync(self) -> None:
        await self.pop.sync.fetch_policy()
        await self.pop.sync.fetch_keys()
        await self.pop.sync.poll()

    def browser(self, **headers: str) -> Browser:
        return Browser(self.pop, {name.replace("_", "-"): value for name, value in headers.items()})

    def restart(self) -> None:
        """The POP's process is killed and comes back on the same disk."""
        self.pop.store.close()
        self.pop = make_pop(self.directory, self.plane, self.cable, self.clock)


def make_pop(
    directory: Path, plane: ControlPlane, cable: Cable, clock: ManualClock, audit: Any = None, **settings: Any
) -> Pop:
    validator, personalizer = native_functions()
    config = PopConfig(**{"pop": "tokyo-1", "data": directory, "jurisdiction": "EU", **settings})
    parts = Parts(
        trust=plane.keys.trust_file(),
        catalogue=make_catalogue(directory / "art"),
        validator=validator,
        personalizers=dict.fromkeys(CATEGORIES, personalizer),
        client=httpx.AsyncClient(transport=cable, base_url="http://control-plane"),
        sites={},
        audit=audit,
        sync=SyncConfig(pop=config.pop, home=config.home, push=False),
    )
    return build_pop(config, parts, clock)


def make_shop(template: Path, directory: Path, **settings: Any) -> Shop:
    """`template`: a control plane's data directory after its first start."""
    shutil.copytree(template, directory, dirs_exist_ok=True)
    clock = ManualClock()
    plane = create_app(Settings(data=directory, clock=clock))
    cable = Cable(plane)
    return Shop(clock, plane, cable, make_pop(directory, plane, cable, clock, **settings), directory)
