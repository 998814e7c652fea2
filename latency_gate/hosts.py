"""Slot decisions per second on our POP and on the hosts that run `edge_http`, side by side in one run.

    document, rows = run_hosts(report, out, seconds=5)        # `edge bench --suite hosts --gate`

Every request carries another token and another page, the same way for every host, so no host answers from memory: our
POP validates and decides in a fresh sandbox each time, which its own counters must confirm. Equal isolation means an
instance per request; hosts that keep one are shown beside it and gate nothing. Every host may use all cores: ours has a
worker on each. Over `wasmtime serve` with memory kept resident between instances ours must be `TUNED_AT_LEAST`.
The peers ask for the edge state over the loopback, from a relay that holds the real control plane's answer, so that
what is measured is the host and not the control plane.
"""

import contextlib
import json
import math
import os
import re
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import jwt
import psutil
from rich.console import Console
from rich.table import Table

from builder import build
from consent_core.formats.edge_site import EdgeSite
from consent_core.formats.edge_state import open_edge_state
from consent_core.formats.token import encode_base64url
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile
from fleet.machine import LoadMeter, describe
from fleet.processes import Fleet, PopSpec
from fleet.project import DEMO, Stage, prepare
from latency_gate import peers
from latency_gate.judge import BROKEN, OK, OVER, Row
from runtime_host.pop.app import POP_KEY, RENDITION_KEY
from runtime_host.pop.images.loading import load_catalogue

POP = "bench-1"
OURS = "runtime_host"
CONNECTIONS = (1, 4)
ROUNDS = 3
TOKENS = 6_000  # more than any host answers in one slice, so that none comes twice
COOKIE = "__Host-consent-token"
MIB = 2**20
TUNED_AT_LEAST = 1.2  # over the peer that keeps its memory resident
FRESH_SHARE = 0.95  # of our POP's answers that came out of both sandboxes; the rest were open when time was up

SCRIPT = """
wrong = 0
local threads, n = {}, %d
local tokens = {}
for line in io.lines("%s") do tokens[#tokens + 1] = line end
function setup(thread) table.insert(threads, thread) end
function request()
  n = n + 1
  return wrk.format("GET", "/v1/slots/home-hero?section=camping&path=/page-" .. n,
                    {["Cookie"] = "%s=" .. tokens[n %% #tokens + 1]})
end
function response(status, headers, body)
  if status ~= 200 or not string.find(body, '"category":"contextual"', 1, true) then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  io.write(string.format('\\n{"requests":%%d,"seconds":%%.3f,"p50_ms":%%.3f,"p99_ms":%%.3f,"wrong":%%d}\\n',
           summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, bad))
end
"""


@dataclass(frozen=True)
class Slice:
    """One host driven once by `wrk`. Times in ms. `wrong`: answers that were no decision, such as the default."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    wrong: int
    others: float  # cores that processes of other people used meanwhile
    memory_mib: float  # resident, children included

    @property
    def rate(self) -> float:
        """Decisions per second. A default is no decision."""
        return (self.requests - self.wrong) / self.seconds


@dataclass(frozen=True)
class Load:
    """What one host did on so many connections, a slice per round. Figures are medians over the rounds."""

    host: str
    connections: int
    fresh: bool
    slices: tuple[Slice, ...]
    at_least: float = 1.0

    def median(self, name: str) -> float:
        """The median of one figure of the slices."""
        return float(median(getattr(one, name) for one in self.slices))

    def total(self, name: str) -> int:
        """A count over all slices."""
        return int(sum(getattr(one, name) for one in self.slices))


@dataclass(frozen=True)
class Contender:
    """A host to measure. `fresh`: it makes an instance per request; then ours is `at_least` so many times its rate."""

    name: str
    fresh: bool
    start: Callable[[], AbstractContextManager[tuple[int, int]]]  # port and process id
    at_least: float = 1.0


@dataclass(frozen=True)
class Scene:
    """What all contenders share: a running control plane and POP, and the component the peers run."""

    stage: Stage
    fleet: Fleet
    component: Path
    place: Path
    environment: dict[str, str]


def run_hosts(place: Path, report: Path, out: Console, seconds: int) -> tuple[dict[str, Any], list[Row]]:
    """Measure every host on `CONNECTIONS`; write `hosts.json`; judge ours against each at equal isolation.

    All hosts run all the time and are driven in turn, `ROUNDS` times, so that other work of the machine meets
    them alike. `seconds`: of each slice.
    """
    with _scene(place, out) as scene, ExitStack() as stack:
        running = [_start(contender, stack, out) for contender in _contenders(scene)]
        loads = _measure(scene, running, seconds, out)
    figures = {"seconds": seconds, "rounds": ROUNDS, "loads": [_value(load) for load in loads]}
    document = {"machine": describe(), **figures}
    (report / "hosts.json").write_text(json.dumps(document, indent=1))
    out.print(table(loads))
    return document, judge(loads)


def judge(loads: list[Load]) -> list[Row]:
    """A row per host and number of connections: our rate over theirs; and that all ours were decisions."""
    ours = {load.connections: load for load in loads if load.host == OURS}
    rows = [_ratio(ours[load.connections], load) for load in loads if load.fresh and load.host != OURS]
    wrong = sum(load.total("wrong") for load in ours.values())
    return [*rows, Row("our answers that were no decisions", OK if wrong == 0 else BROKEN, wrong, 0, "", "none may be")]


def table(loads: list[Load]) -> Table:
    """Rates, latencies and memory for people. `others`: cores that processes of other people used meanwhile."""
    title = "slot decisions, another token and page each time; times in ms, memory in MiB"
    shown = Table(title=title, title_justify="left")
    for heading in ("host", "conn", "per s", "p50", "p99", "memory", "n", "no", "others"):
        shown.add_column(heading, justify="left" if heading == "host" else "right", no_wrap=True)
    for load in loads:
        rate, p50, p99 = load.median("rate"), load.median("p50_ms"), load.median("p99_ms")
        shown.add_row(
            load.host if load.fresh else f"{load.host} *", str(load.connections), f"{rate:.0f}", f"{p50:.1f}",
            f"{p99:.0f}", f"{load.median('memory_mib'):.0f}", str(load.total("requests")), str(load.total("wrong")),
            f"{load.median('others'):.1f}",
        )  # fmt: skip
    shown.caption = "* keeps an instance for many requests; no: answers that were the default"
    return shown


def _ratio(ours: Load, theirs: Load) -> Row:
    """The median over rounds of our rate over theirs in the same round."""
    pairs = zip(ours.slices, theirs.slices, strict=True)
    ratio = median(mine.rate / other.rate if other.rate else math.inf for mine, other in pairs)
    text = f"{ours.median('rate'):.0f} and {theirs.median('rate'):.0f} per s; at least {theirs.at_least:g}"
    name = f"over {theirs.host}, {theirs.connections} conn."
    return Row(name, OK if ratio >= theirs.at_least else OVER, round(ratio, 3), theirs.at_least, "×", text)


def _value(load: Load) -> dict[str, Any]:
    shown = {name: round(load.median(name), 3) for name in ("rate", "p50_ms", "p99_ms", "memory_mib", "others")}
    counts = {name: load.total(name) for name in ("requests", "wrong")}
    slices = [{**asdict(one), "rate": round(one.rate, 1)} for one in load.slices]
    return {
        "host": load.host,
        "connections": load.connections,
        "fresh": load.fresh,
        **shown,
        **counts,
        "slices": slices,
    }


def _contenders(scene: Scene) -> tuple[Contender, ...]:
    def peer(start: peers.Peer, *flags: str) -> Callable[[], AbstractContextManager[tuple[int, int]]]:
        @contextmanager
        def started() -> Iterator[tuple[int, int]]:
            directory = scene.place / "-".join((start.__name__, *flags)).replace("=", "")
            directory.mkdir(parents=True, exist_ok=True)
            with start(scene.component, scene.environment, directory, *flags) as server:
                yield server.port, server.process.pid

        return started

    resident = ("-Opooling-memory-keep-resident=16777216", "-Opooling-table-keep-resident=1048576")  # the whole image
    reuse = ("--max-instance-reuse-count", "1000000")
    return (
        Contender(OURS, True, lambda: _our_pop(scene)),
        Contender("wasmtime serve", True, peer(peers.wasmtime)),
        Contender("wasmtime serve, tuned", True, peer(peers.wasmtime, *resident), TUNED_AT_LEAST),
        Contender("wasmtime serve, reused", False, peer(peers.wasmtime, *reuse)),
        Contender("wash dev", True, peer(peers.wash)),
        Contender("jco serve, isolated", True, peer(peers.jco, "--isolate-requests", "instance")),
        Contender("jco serve", False, peer(peers.jco)),
    )


@contextmanager
def _our_pop(scene: Scene) -> Iterator[tuple[int, int]]:
    """The POP of the fleet."""
    process = scene.fleet.pops[POP].process
    if process is None:
        raise RuntimeError("the POP has not been started")
    yield int(scene.fleet.url(POP).rpartition(":")[2]), process.pid


@dataclass(frozen=True)
class Running:
    """A contender that listens."""

    contender: Contender
    port: int
    pid: int


def _start(contender: Contender, stack: ExitStack, out: Console) -> Running:
    with out.status(f"starting {contender.name} …"):
        return Running(contender, *stack.enter_context(contender.start()))


def _measure(scene: Scene, running: list[Running], seconds: int, out: Console) -> list[Load]:
    for one in running:
        _drive(scene, one.port, 1, 1)  # counts nothing: translated code is paged in
    slices: dict[tuple[str, int], list[Slice]] = {}
    for turn in range(ROUNDS):
        for connections in CONNECTIONS:
            for one in running:
                name = one.contender.name
                with out.status(f"round {turn + 1} of {ROUNDS}: {name}, {connections} connections"):
                    slices.setdefault((name, connections), []).append(_slice(scene, one, connections, seconds))
    return [
        _load(one.contender, connections, slices[one.contender.name, connections])
        for one in running
        for connections in CONNECTIONS
    ]


def _load(contender: Contender, connections: int, slices: list[Slice]) -> Load:
    return Load(contender.name, connections, contender.fresh, tuple(slices), contender.at_least)


def _slice(scene: Scene, one: Running, connections: int, seconds: int) -> Slice:
    before, meter = _sandboxes(scene), LoadMeter()
    found = _drive(scene, one.port, connections, seconds)
    others = round(meter.foreign_cores(), 2)
    if one.contender.name == OURS:
        _require_fresh(before, _sandboxes(scene), found["requests"])
    return Slice(**found, others=others, memory_mib=_memory(one.pid))


def _require_fresh(before: dict[str, float], after: dict[str, float], requests: int) -> None:
    for name in ("consent-validation", "personalization"):
        ran = after.get(name, 0) - before.get(name, 0)
        if ran < requests * FRESH_SHARE:
            raise RuntimeError(f"{name} ran {ran:.0f} times for {requests} requests: the rest came from memory")


def _drive(scene: Scene, port: int, connections: int, seconds: int) -> dict[str, Any]:
    """One load by `wrk`, with tokens of its own."""
    tokens, script = scene.place / "tokens.txt", scene.place / "hosts.lua"
    tokens.write_text("\n".join(_tokens(scene)))
    script.write_text(SCRIPT % (time.time_ns() // 1_000_000 % 10**9, tokens, COOKIE))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    run = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"wrk: {run.stderr[-500:]}{run.stdout[-500:]}")
    found: dict[str, Any] = json.loads(run.stdout.rstrip().rpartition("\n")[2])
    return found


def _tokens(scene: Scene) -> list[str]:
    """Tokens of as many visitors, as the control plane would issue them now."""
    store = KeyStore.open(scene.stage.data)
    key, issuer, now, run = store.current("token"), store.trust_file().issuer, int(time.time()), time.time_ns()
    policy = _edge_state(scene.fleet, scene.stage.data).policy.hash
    headers = {"typ": "consent+jwt", "kid": key.kid}
    claims = {"iss": issuer, "aud": "edge", "iat": now, "exp": now + 300, "ver": 1, "scopes": ["contextual"]}
    claims |= {"region": POP, "hash": policy}
    private: Any = key
    return [
        jwt.encode(
            {**claims, "sub": encode_base64url((run << 32 | n).to_bytes(16, "big")), "jti": f"{run}-{n}"},
            private.private, algorithm="EdDSA", headers=headers,
        )
        for n in range(TOKENS)
    ]  # fmt: skip


def _sandboxes(scene: Scene, pop: str = POP) -> dict[str, float]:
    """How often each function ran in a sandbox, by the POP's own count."""
    page = httpx.get(f"{scene.fleet.admin_url(pop)}/metrics", timeout=60).text
    found = re.findall(r"^consent_edge_sandbox_seconds_count\{([^}]*)\} ([0-9.e+]+)", page, re.MULTILINE)
    counts: dict[str, float] = {}
    for labels, value in found:
        for name in ("consent-validation", "personalization"):
            if name in labels:
                counts[name] = counts.get(name, 0) + float(value)
    return counts


def _memory(pid: int) -> float:
    """Resident MiB of a process and its children."""
    process = psutil.Process(pid)
    return sum(member.memory_info().rss for member in (process, *process.children(recursive=True))) / MIB


def _edge_state(fleet: Fleet, data: Path) -> Any:
    body = httpx.get(f"{fleet.control_plane_url}/v1/edge-state", timeout=60).content
    return open_edge_state(body, TrustFile.load(data / "trust.json"), int(time.time()), frozenset())


@contextmanager
def _scene(place: Path, out: Console) -> Iterator[Scene]:
    stage = prepare(place / "edge", place / "components", out)
    signer = KeyStore.open(stage.data).current("component")
    built = build(["edge_http"], root=peers.ROOT, out=stage.components, signer=signer)
    work = place / "hosts"
    work.mkdir(parents=True, exist_ok=True)
    workers = ("--workers", str(os.cpu_count() or 1))  # the peers use every core too
    fleet = Fleet(stage.data, [PopSpec(POP, "EU", options=workers)], site=DEMO.site, components=stage.components)
    with fleet, _relay(fleet) as relay:
        component = (built[0].directory / built[0].manifest.wasm_file).resolve()
        yield Scene(stage, fleet, component, work.resolve(), _environment(stage.data, relay))


def _environment(data: Path, relay: str) -> dict[str, str]:
    loaded = load_catalogue(DEMO.catalogue, DEMO.art)
    return {
        "CONSENT_EDGE_CONTROL_PLANE": relay,
        "CONSENT_EDGE_TRUST": (data / "trust.json").read_text(),
        "CONSENT_EDGE_SITE": EdgeSite.of(loaded.catalogue, loaded.sources, loaded.fonts).to_bytes().decode(),
        "CONSENT_EDGE_RENDITION_KEY": encode_base64url((data / RENDITION_KEY).read_bytes()),
        "CONSENT_EDGE_POP_KEY": encode_base64url((data / "pops" / POP / POP_KEY).read_bytes()),
        "CONSENT_EDGE_JURISDICTION": "EU",
    }


@contextmanager
def _relay(fleet: Fleet) -> Iterator[str]:
    """The control plane's edge state, at most a second old, from a server that costs next to nothing."""
    kept: list[Any] = [0.0, b""]

    def current() -> bytes:
        if time.monotonic() - kept[0] > 1:
            kept[:] = [time.monotonic(), httpx.get(f"{fleet.control_plane_url}/v1/edge-state", timeout=60).content]
        return bytes(kept[1])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while data := self.request.recv(8_192):
                    if data.endswith(b"\r\n\r\n"):
                        body = current()
                        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                        self.request.sendall(head + body)

    class Relay(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    with Relay(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
