"""How fast real POP processes enforce what an operator does: revocations and policies, asked for until they show.

    document = measure(processes=20, events=15, push=True, out=Path("build/simulate"))

For each entry every POP is asked for a slot, again and again over a kept-alive connection, with a token that the entry
takes from (a policy: makes stale). A POP enforces from the first answer that says so. The delay counts from before
the operator's request is sent to when that answer has arrived: it includes the commit and the asking.
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from consent_core.clock import SystemClock
from consent_core.formats.token import CATEGORIES, parse, read_claims
from consent_core.policy.bundle import Bundle, open_bundle
from consent_core.trust.keys import KeyStore
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import open_source
from consent_core.trust.tls import client_context
from consent_core.trust.trust_file import NO_LOG, TrustFile
from fleet.bounds import AIM_S, BOUND_S, quantile_of
from fleet.machine import LoadMeter, describe
from fleet.policies import next_bundle
from fleet.ports import LOOPBACK
from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.periodic import SPREAD

SLOT = "/v1/slots/home-hero?section=water"
CHOICES = list(CATEGORIES)
POLICY_EVERY = 5  # each fifth entry is a policy
APART_S = 0.5  # between entries
PAUSE_S = {True: 0.04, False: 0.1}  # between two questions to one POP, with and without push; asking costs CPU too
SETTLE_S = 30.0  # for a token to be personalised everywhere before something is taken from it
JURISDICTION = "EU"

Progress = Callable[[int, int], None]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delay:
    """One entry at one POP. `seconds`: infinite if it was not enforced within the bound."""

    event: int
    kind: str
    pop: str
    seconds: float


def measure(
    processes: int, events: int, *, push: bool, out: Path, on_progress: Progress = lambda done, total: None
) -> Document:
    """Start a control plane and so many POPs, cause entries, and tell how long each took at each POP."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix="fleet-") as directory:
        place = Path(directory)
        stage = prepare(place / "data", place / "components", Console(stderr=True))
        options = () if push else ("--no-push",)
        specs = [PopSpec(f"edge-{number}", JURISDICTION, options=options) for number in range(1, processes + 1)]
        load, started = LoadMeter(), perf_counter()
        with Fleet(stage.data, specs, site=SHOP / "site", components=stage.components) as fleet:
            up_s = perf_counter() - started
            load.foreign_cores()
            delays, asked = asyncio.run(_Measurement(fleet, stage.data, push, on_progress).run(events))
            foreign = load.foreign_cores()
    return _document(delays, asked, processes, push=push, up_s=up_s, foreign=foreign)


def to_text(document: Document) -> Table:
    """The figures for people."""
    table = Table("", "p50", "p99", "max", "pairs", box=None, padding=(0, 2, 0, 0))
    for name, of in (("all", document), *document["by_kind"].items()):
        table.add_row(name, *(_seconds(of[f"sync_{which}_s"]) for which in ("p50", "p99", "max")), str(of["pairs"]))
    within = "within" if document["ok"] else "over"
    push = "with push" if document["push"] else "push cut off"
    table.title = f"{document['processes']} POP processes, {push}: p99 {within} {document['limit_s']:g} s"
    table.caption = f"{document['foreign_cores']} cores were used by others meanwhile"
    return table


class _Measurement:
    """One run against a running fleet."""

    def __init__(self, fleet: Fleet, data: Path, push: bool, on_progress: Progress) -> None:
        self._fleet = fleet
        self._keys = KeyStore.open(data)
        self._trust = TrustFile.load(data / "trust.json")
        self._pause_s = PAUSE_S[push]
        self._on_progress = on_progress
        self._original: Bundle | None = None
        self._asked = 0
        name = SpiffeId.of(self._trust.trust_domain, "operator", "simulator")
        clock = SystemClock()
        context = client_context(open_source(data, name, clock=clock), clock, role="control-plane")
        self._operator = httpx.AsyncClient(base_url=fleet.mesh_url, verify=context, timeout=30)

    async def run(self, events: int) -> tuple[list[Delay], int]:
        """So many entries, one after the other. Returns: delays and how many questions were asked."""
        lines = {pop: await _Line.open(self._fleet.url(pop)) for pop in self._fleet.pops}
        delays: list[Delay] = []
        try:
            for event in range(events):
                delays += await self._event(event, lines)
                self._on_progress(event + 1, events)
                await asyncio.sleep(APART_S)
        finally:
            for line in lines.values():
                line.close()
            await self._operator.aclose()
        return delays, self._asked

    async def _event(self, event: int, lines: dict[str, "_Line"]) -> list[Delay]:
        kind = "policy" if event % POLICY_EVERY == POLICY_EVERY - 1 else "session"
        token = await self._grant()
        async with asyncio.timeout(SETTLE_S):
            await asyncio.gather(*(self._until(line, token, lambda a: a.personalised) for line in lines.values()))
        body = await self._next_policy() if kind == "policy" else b""
        enforced = (lambda a: a.code == "policy-stale") if kind == "policy" else (lambda a: not a.personalised)
        started = perf_counter()
        watching = [asyncio.create_task(self._delay(line, token, enforced, started)) for line in lines.values()]
        await (self._publish(body) if kind == "policy" else self._revoke(token))
        seconds = await asyncio.gather(*watching)
        return [Delay(event, kind, pop, taken) for pop, taken in zip(lines, seconds, strict=True)]

    async def _delay(self, line: "_Line", token: str, enforced: Callable[["_Answer"], bool], started: float) -> float:
        try:
            async with asyncio.timeout(BOUND_S):
                await self._until(line, token, enforced)
        except TimeoutError:
            await line.reopen()
            return float("inf")
        return perf_counter() - started

    async def _until(self, line: "_Line", token: str, met: Callable[["_Answer"], bool]) -> None:
        while not met(await line.ask(token)):
            self._asked += 1
            await asyncio.sleep(self._pause_s)
        self._asked += 1

    async def _grant(self) -> str:
        """A new visitor at the first POP. Returns: the token out of its cookie."""
        pop = next(iter(self._fleet.pops))
        async with httpx.AsyncClient(base_url=self._fleet.url(pop), timeout=30) as browser:
            response = await browser.post(
                "/v1/consent", json={"grant": CHOICES}, headers={"sec-fetch-site": "same-origin"}
            )
        response.raise_for_status()
        cookies = (cookie.split(";")[0].partition("=") for cookie in response.headers.get_list("set-cookie"))
        return next(value for name, _, value in cookies if name.endswith("consent-token"))

    async def _revoke(self, token: str) -> None:
        body = {"kind": "session", "sub": read_claims(parse(token).claims).sub}
        (await self._operator.post("/v1/revocations", json=body)).raise_for_status()

    async def _next_policy(self) -> bytes:
        response = await self._operator.get("/v1/policy/bundle")
        response.raise_for_status()
        in_force = open_bundle(response.content, self._trust, SystemClock().now(), NO_LOG, min_revision=0)
        self._original = self._original or in_force
        signer = self._keys.current("bundle")
        off = {(JURISDICTION, "experimental")} if in_force.revision % 2 else set()
        return next_bundle(in_force, self._original, off, signer, SystemClock().now())

    async def _publish(self, body: bytes) -> None:
        (await self._operator.post("/v1/policy/bundle", content=body)).raise_for_status()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a slot's answer says: whether it is anything but the default, and why categories are missing."""

    personalised: bool
    code: str | None


class _Line:
    """One kept-alive connection, as thin as can be: the asker must not be what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, url: str) -> "_Line":
        """Connect to a POP's public listener."""
        line = cls(int(url.rsplit(":", 1)[1]))
        await line.reopen()
        return line

    async def reopen(self) -> None:
        """Connect, again if need be."""
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self._port)

    async def ask(self, token: str) -> _Answer:
        """One slot request."""
        host = f"{LOOPBACK}:{self._port}"
        self._writer.write(
            f"GET {SLOT} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode("ascii")
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return _Answer(b'"category":"default"' not in body.replace(b" ", b""), headers.get("consent-edge-code"))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def _document(delays: list[Delay], asked: int, processes: int, *, push: bool, up_s: float, foreign: float) -> Document:
    poll_s = SyncConfig(pop="any", home=Path()).poll_s * (1 + SPREAD / 2)
    limit_s = AIM_S if push else poll_s + AIM_S
    figures = _figures(delays)
    p99 = figures["sync_p99_s"]
    return {
        "requests": asked,
        "personalised_after_bound": sum(delay.seconds > BOUND_S for delay in delays),
        **figures,
        "availability": 1.0,  # an entry is caused only once every POP has personalised the token
        "ok": p99 is not None and p99 <= limit_s,
        "limit_s": limit_s,
        "push": push,
        "processes": processes,
        "by_kind": {kind: _figures([d for d in delays if d.kind == kind]) for kind in sorted({d.kind for d in delays})},
        "delays_s": [[delay.event, delay.kind, delay.pop, round(delay.seconds, 4)] for delay in delays],
        "up_s": round(up_s, 1),
        "foreign_cores": round(foreign, 2),
        "machine": describe(),
    }


def _figures(delays: list[Delay]) -> dict[str, Any]:
    seconds = [delay.seconds for delay in delays]
    return {
        "sync_p50_s": quantile_of(seconds, 0.5),
        "sync_p99_s": quantile_of(seconds, 0.99),
        "sync_max_s": quantile_of(seconds, 1.0),
        "pairs": len(seconds),
    }


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} s"
