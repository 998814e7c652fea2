"""Fresh-instance throughput of one worker and of two: in process, and through a POP over HTTP.

    document, rows = run_workers(place, report, out, seconds)        # `edge bench --suite workers --gate`

In process: each of two processes runs what a POP's worker runs for a decision that nothing remembers, the verified
component in an instance made for that one call. One of them, both, the other: a turn. The ratio gates. It is asked for
on two free cores: turns during which other people's processes used a core are done again, and if there are not
enough quiet ones the row is advice.
Over HTTP: the same load on a POP of one worker and on one of two, with another token and another page each time, so
that every answer takes a fresh validation and a fresh decision. Advice, because the load generator shares the cores and
because one worker is no one-core figure: its two functions run in a thread each.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from consent_core.decision.contract import (
    Candidate,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.trust.trust_file import TrustFile
from fleet.machine import LoadMeter, describe
from fleet.processes import Fleet, PopSpec
from fleet.project import DEMO, Stage, prepare
from latency_gate.hosts import (
    FRESH_SHARE,
    Scene,
    _drive,
    _sandboxes,
)
from latency_gate.judge import ADVISORY, OK, OVER, Row
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import SandboxPool

AT_LEAST = 1.7
TURNS = 5
MOST_TURNS = 20  # before a machine is called busy
QUIET = 0.1  # cores that others may use during a turn
CONNECTIONS = 16
ONE, TWO = "bench-1", "bench-2"  # POPs of so many workers

SIGNALS = Signals(
    page=PageContext("/boots/winter", "boots", ("boots", "winter", "leather"), "en"),
    history=tuple(Interaction("click", f"boot-{n}", ("boots", "brown"), n) for n in range(5)),
)
CANDIDATES = tuple(Candidate(f"asset-{n}", ("boots", "snow"), ("For winter.", "Warm boots for you.")) for n in range(6))


@dataclass(frozen=True)
class Turn:
    """Decisions per second of one process alone, and of both together. `others`: cores that other people used."""

    one: float
    two: float
    others: float

    @property
    def ratio(self) -> float:
        """Both over one."""
        return self.two / self.one


@dataclass(frozen=True)
class Slice:
    """A POP under load. Rates per second, times in ms."""

    workers: int
    rate: float
    p50_ms: float
    p99_ms: float
    wrong: int
    others: float


def run_workers(place: Path, report: Path, out: Console, seconds: int) -> tuple[dict[str, Any], list[Row]]:
    """Measure both, write `workers.json`, judge. `seconds`: of each slice."""
    stage = prepare(place / "edge", place / "components", out)
    with _processes(stage) as processes, out.status("in process …"):
        turns = _turns(processes, seconds)
    slices = _over_http(stage, place, seconds, out)
    out.print(_table(turns, slices))
    quiet = [turn for turn in turns if turn.others <= QUIET]
    document = {
        "machine": describe(),
        "seconds": seconds,
        "in_process": {"turns": [{**asdict(turn), "ratio": round(turn.ratio, 3)} for turn in turns]},
        "http": [asdict(one) for one in slices],
    }
    (report / "workers.json").write_text(json.dumps(document, indent=1))
    return document, [judge_ratio(turns, quiet, os.cpu_count() or 1), _http_row(slices)]


def judge_ratio(turns: list[Turn], quiet: list[Turn], cores: int) -> Row:
    """The median over quiet turns; over all of them, and as advice, where they were too few or there is one core."""
    enough = len(quiet) >= TURNS and cores >= 2
    used = quiet if enough else turns
    ratio = median(turn.ratio for turn in used)
    one, two = (median(getattr(turn, name) for turn in used) for name in ("one", "two"))
    text = f"{one:.0f} and {two:.0f} decisions/s, median of {len(used)} turns"
    if not enough:
        text += f"; {len(quiet)} of {len(turns)} turns were quiet on {cores} cores"
    status = OK if ratio >= AT_LEAST else OVER if enough else ADVISORY
    return Row("fresh decisions in process, two workers over one", status, round(ratio, 3), AT_LEAST, "×", text)


def _http_row(slices: list[Slice]) -> Row:
    one, two = (median(s.rate for s in slices if s.workers == workers) for workers in (1, 2))
    wrong = sum(s.wrong for s in slices)
    status = OK if two / one >= AT_LEAST and not wrong else ADVISORY
    text = f"{one:.0f} and {two:.0f} per s, {wrong} no decisions; one worker's functions have a thread each"
    return Row("fresh decisions over HTTP, two workers over one", status, round(two / one, 3), AT_LEAST, "×", text)


def _table(turns: list[Turn], slices: list[Slice]) -> Table:
    table = Table(title="fresh decisions per second, one and two workers; times in ms", title_justify="left")
    for heading in ("", "one", "two", "ratio", "p50", "p99", "others"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for turn in turns:
        table.add_row("in process", f"{turn.one:.0f}", f"{turn.two:.0f}", f"{turn.ratio:.2f}", "", "",
                      f"{turn.others:.2f}")  # fmt: skip
    for one, two in zip(slices[::2], slices[1::2], strict=True):
        table.add_row("over HTTP", f"{one.rate:.0f}", f"{two.rate:.0f}", f"{two.rate / one.rate:.2f}",
                      f"{one.p50_ms:.0f}, {two.p50_ms:.0f}", f"{one.p99_ms:.0f}, {two.p99_ms:.0f}",
                      f"{max(one.others, two.others):.2f}")  # fmt: skip
    return table


# In process.


def _decide_for_ever(components: Path, trust: Path, orders: Connection) -> None:
    """One worker process: so many seconds of decisions at each order, each in an instance of its own."""
    loaded = load_component(components / "personalization", TrustFile.load(trust), int(time.time()), frozenset())
    with SandboxPool(loaded) as pool:
        personalizer = Personalizer(pool)
        personalizer.decide("home-hero", SIGNALS, CANDIDATES, 3)
        orders.send(0.0)
        while (seconds := orders.recv()) > 0:
            begun, count = time.monotonic(), 0
            while (now := time.monotonic()) < begun + seconds:
                personalizer.decide("home-hero", SIGNALS, CANDIDATES, count % 16)
                count += 1
            orders.send(count / (now - begun))


@contextmanager
def _processes(stage: Stage) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        place = stage.components.resolve(), (stage.data / "trust.json").resolve()
        process = context.Process(target=_decide_for_ever, args=(*place, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        started.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        yield pipes
    finally:
        for pipe, process in zip(pipes, started, strict=True):
            pipe.send(0)
            process.join()


def _turns(processes: list[Connection], seconds: int) -> list[Turn]:
    """Until enough were quiet: one alone, both, the other alone. What changes meanwhile meets both figures alike."""
    turns: list[Turn] = []
    meter = LoadMeter()
    while sum(turn.others <= QUIET for turn in turns) < TURNS and len(turns) < MOST_TURNS:
        first, both, second = (_rates(some, seconds / 3) for some in (processes[:1], processes, processes[1:]))
        turns.append(Turn((first + second) / 2, both, round(meter.foreign_cores(), 3)))
    return turns


def _rates(processes: list[Connection], seconds: float) -> float:
    for process in processes:
        process.send(seconds)
    return float(sum(process.recv() for process in processes))


# Over HTTP.


def _over_http(stage: Stage, place: Path, seconds: int, out: Console) -> list[Slice]:
    """Slices in turn: one worker, two workers, one worker, …"""
    pops = [PopSpec(ONE, "EU"), PopSpec(TWO, "EU", options=("--workers", "2"))]
    slices: list[Slice] = []
    with Fleet(stage.data, pops, site=DEMO.site, components=stage.components) as fleet:
        scene = Scene(stage, fleet, place, place.resolve(), {})
        for pop in (ONE, TWO):
            _drive(scene, _port(fleet, pop), CONNECTIONS, 1)  # counts nothing: translated code is paged in
        for turn in range(TURNS):
            for workers, pop in ((1, ONE), (2, TWO)):
                with out.status(f"over HTTP, turn {turn + 1} of {TURNS}: {workers} workers"):
                    slices.append(_slice(scene, workers, pop, seconds))
    return slices


def _slice(scene: Scene, workers: int, pop: str, seconds: int) -> Slice:
    before, meter = _sandboxes(scene, pop), LoadMeter()
    found = _drive(scene, _port(scene.fleet, pop), CONNECTIONS, seconds)
    others, after = round(meter.foreign_cores(), 2), _sandboxes(scene, pop)
    for name in ("consent-validation", "personalization"):
        if after.get(name, 0) - before.get(name, 0) < found["requests"] * FRESH_SHARE:
            raise RuntimeError(f"{name} did not run for every request: some came from memory")
    rate = (found["requests"] - found["wrong"]) / found["seconds"]
    return Slice(workers, round(rate, 1), found["p50_ms"], found["p99_ms"], found["wrong"], others)


def _port(fleet: Fleet, pop: str) -> int:
    return int(fleet.url(pop).rpartition(":")[2])
