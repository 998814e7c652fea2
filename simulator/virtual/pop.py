"""One POP of a simulation: the real store, sync room and token pipeline on a simulated machine.

Not simulated: images, HTTP parsing and the sandbox (the validation function runs natively). A crash drops every object
and opens what the disk held at that moment; crashes between two lines are `pytest -k crash`'s business.
"""

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx

from consent_core.decision.request import Headers
from consent_core.decision.seams import TrustState, Validator
from consent_core.formats.consent import ConsentAnswer, read_answer
from consent_core.http.asgi import App
from consent_core.http.clients import Clients
from consent_core.policy.bundle import Bundle, open_bundle
from consent_core.telemetry.counters import Counter, Histogram
from fleet.processes import PopSpec
from fleet.simulated_browser import HEADERS, Answered
from runtime_host.pop.serving.cookies import CookieNames
from runtime_host.pop.serving.decisions import Decider
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.last_answers import LastAnswers
from runtime_host.pop.serving.pipeline import Counters, Pipeline, Rules, Visit
from runtime_host.pop.serving.rates import Rates
from runtime_host.pop.serving.recent import Recent
from runtime_host.pop.serving.routes.consent import ConsentRoom, Neighbours, PopIdentity
from runtime_host.pop.serving.routes.stream import Streams
from runtime_host.pop.serving.routing import RequestCounts, Router
from runtime_host.pop.serving.token_cache import TokenCache
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.sync import Sync, SyncConfig
from runtime_host.pop.sync.fetch import ControlPlane
from simulator.virtual.network import Link, SimulatedNetwork
from simulator.virtual.plane import Plane
from simulator.virtual.time import MachineClock
from simulator.virtual.watch import Watch

COOKIE = b"consent-token"
LAST_ANSWERS = 10_000
DATABASE = "pop.db"
TOKENS = 20_000
TIMEOUT_S = 5.0


class SimulatedPop:
    """POP `number` of a fleet.

    State: `up` (its process runs), `asleep` (its machine sleeps), `reachable_since` (both, and its link is up).
    """

    def __init__(
        self,
        number: int,
        spec: PopSpec,
        home: Path,
        plane: Plane,
        link: Link,
        clock: MachineClock,
        validator: Validator,
        watch: Watch,
        *,
        push: bool,
        careless: bool,
    ) -> None:
        self.number = number
        self.name, self.jurisdiction = spec.pop, spec.jurisdiction
        self.link = link
        self.up = False
        self.asleep = False
        self._reachable: float | None = None
        self._home = home / "0"
        self._homes = home
        self._lives = 0
        self._plane = plane
        self._clock = clock
        self._validator = validator
        self._watch = watch
        self._push = push
        self._careless = careless
        network = SimulatedNetwork(plane.app, link, plane.note)
        self._client = httpx.AsyncClient(transport=network, base_url="http://control-plane", trust_env=False)
        self._desk = ControlPlane(self._client, TIMEOUT_S)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open what is on the disk and follow the control plane. Not in sync until its first answer."""
        self.store = PopStore(self._home / DATABASE, self._clock)
        self.store.database.writer.background = False
        self._watch.started(self.number, self.store.log.position.position)
        config = SyncConfig(pop=self.name, home=self._home, push=self._push)
        self.sync = Sync(config, self.store, self._plane.trust, self._client, self._clock, opener=self._open_bundle)
        self.sync.changes.subscribe(self._arrived)
        self.pipeline = self._pipeline()
        self._consent = self._consent_routes()
        self.up = True
        self._follow()
        self.look()

    async def crash(self) -> None:
        """kill -9: what is not on the disk is gone."""
        self.up = False
        self.look()
        await self._stop_following()
        self._lives += 1
        left = self._homes / str(self._lives)
        _copy(self._home, left)
        self.store.close()
        shutil.rmtree(self._home)
        self._home = left

    def back_up(self, to: Path) -> None:
        """Copy the store as it is on the disk."""
        _copy(self._home, to)

    def put_back(self, backup: Path) -> None:
        """Replace the store of a POP that is down by an older copy. Bundle and keys stay: they are files beside it."""
        for file in self._home.glob(f"{DATABASE}*"):
            file.unlink()
        for file in backup.glob(f"{DATABASE}*"):
            shutil.copy(file, self._home / file.name)

    async def sleep(self) -> None:
        """The machine is suspended: nothing runs, CLOCK_BOOTTIME goes on."""
        self.asleep = True
        self.look()
        await self._stop_following()

    def wake(self) -> None:
        """Everything goes on where it was."""
        self.asleep = False
        self._follow()
        self.look()

    async def close(self) -> None:
        """End it in an orderly way."""
        if self.up:
            await self._stop_following()
            self.store.close()
        await self._client.aclose()

    @property
    def serving(self) -> bool:
        """Whether requests are answered."""
        return self.up and not self.asleep

    @property
    def in_sync(self) -> bool:
        """Whether anything may be personalised."""
        return self.serving and self.sync.trust_state.in_sync()

    @property
    def reachable_since(self) -> float | None:
        """Since when this POP has been up, awake and connected; None if it is not."""
        return self._reachable

    def look(self) -> None:
        """Note whether it is reachable. A method that switches something calls this."""
        if not (self.serving and self.link.up):
            self._reachable = None
        elif self._reachable is None:
            self._reachable = self._clock.elapsed()

    async def ask(self, token: str, gpc: bool) -> Visit:
        """One request with a token: what is effective for it now."""
        headers: Headers = {b"authorization": b"Bearer " + token.encode("ascii")}
        if gpc:
            headers[b"sec-gpc"] = b"1"
        visit = Visit(headers, None, None)
        await self.pipeline.grant(visit)
        return visit

    async def shows(self, cookies: bytes) -> tuple[str, ...]:
        """The categories that a browser's next picture may be decided by."""
        visit = Visit({b"cookie": cookies}, None, None)
        await self.pipeline.grant(visit)
        return visit.grant.categories

    async def http(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes, cookies: bytes
    ) -> Answered:
        """A browser's request to the consent routes, as its page's module sends it."""
        sent = {**HEADERS, **headers, b"host": b"shop.example", b"cookie": cookies}
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode("ascii"), "query_string": b"",
            "headers": list(sent.items()), "extensions": {},
        }  # fmt: skip
        parts: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            parts.append(message)

        await self._consent(scope, receive, send)
        answer = b"".join(part.get("body", b"") for part in parts[1:])
        return Answered(parts[0]["status"], list(parts[0]["headers"]), answer)

    async def say(self, method: str, path: str, body: bytes) -> ConsentAnswer | None:
        """A visitor's change to the control plane, as a POP's consent routes send it; None where it was refused."""
        reply = await self._desk.send(method, path, body)
        return read_answer(reply.body) if reply.status < 300 else None

    def check(self) -> None:
        """Raise what ended the sync room, if anything did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def _follow(self) -> None:
        self._task = asyncio.create_task(self.sync.run())

    async def _stop_following(self) -> None:
        assert self._task is not None
        self.check()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    def _arrived(self, change: Change) -> None:
        if change.seq is not None:
            self._watch.arrived(self.number, change)

    def _open_bundle(self, data: bytes, min_revision: int, known: str | None) -> Bundle:
        bundle = open_bundle(
            data,
            self._plane.trust,
            self._clock.now(),
            self.store.revocations.revoked_keys(),
            min_revision=min_revision,
            current_hash=known,
        )
        self._watch.policy(self.number, bundle.hash)
        return bundle

    def _consent_routes(self) -> App:
        """The real routes. No simulated page sends slots along, so nothing is delivered."""
        code = Counter(("code",))
        here = PopIdentity(self.name, self.jurisdiction, None, CookieNames.choose(False), "adult")
        near = Neighbours(
            self._clock, self.pipeline, cast(Delivery, None), self.store, self.sync.outgoing, self._desk,
            Streams(lambda: self.sync.trust_state.generation, 2, 15.0), LastAnswers(LAST_ANSWERS),
            Clients((), limited=False), Rates(self._clock.elapsed),
        )  # fmt: skip
        return Router(ConsentRoom(here, near).routes(), RequestCounts(Counter(("route", "status")), code, code, code))

    def _pipeline(self) -> Pipeline:
        rules = Rules(
            issuer=self._plane.trust.issuer,
            leeway_s=5,
            jurisdiction=self.jurisdiction,
            geo_header=None,
            cookie=COOKIE,
            pop_key=bytes(32),
        )
        trust_state: Any = _Careless(self.sync.trust_state) if self._careless else self.sync.trust_state
        return Pipeline(
            rules,
            trust_state,
            self._validator,
            TokenCache(TOKENS),
            Decider({}, 2),
            Recent(self.store.history, self._clock),
            _counters(),
        )


def _counters() -> Counters:
    """A simulated POP is not scraped."""
    code, spent = Counter(("code",)), Histogram(("of",), ())
    return Counters(code, code, code, code, spent, spent)


class _Careless:
    """A trust state that is always in sync: what a POP without the rule would believe."""

    def __init__(self, trust_state: TrustState) -> None:
        self._trust_state = trust_state

    def in_sync(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trust_state, name)


def _copy(home: Path, to: Path) -> None:
    """The files of a POP without SQLite's shared memory, which no crash leaves behind."""
    to.mkdir(parents=True, exist_ok=True)
    for file in home.iterdir():
        if file.is_file() and not file.name.endswith("-shm"):
            shutil.copy(file, to / file.name)
