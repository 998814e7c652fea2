"""kill -9 of a lead, a worker, a POP, the control plane, and of a POP while the control plane is down, in turn.

    document, rows = run_kills(place, report, out, 200, progress)        # `edge bench --suite kills --gate`

Two POPs and a control plane as real processes; one POP has two workers. After each kill the process is started again
(a worker by its lead), and the next kill waits until it is ready. In the end nothing waits in an outbox, and each
browser is asked at both POPs what became of its last word. Every promise counts to 0, or the row is over.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from fleet.machine import describe
from fleet.processes import Fleet, Member, PopSpec
from fleet.project import SHOP, prepare
from fleet.simulated_browser import HEADERS, Answered
from latency_gate.judge import BROKEN, OK, OVER, Row
from latency_gate.run import Progress
from latency_gate.visitors import PROMISES, Verdict, Visitor
from runtime_host.pop.serving.cookies import CookieNames

TWO_WORKERS, OTHER = "kills-1", "kills-2"
SPECS = (PopSpec(TWO_WORKERS, "EU", options=("--workers", "2")), PopSpec(OTHER, "EU"))
WORKER_MODULE = "runtime_host.pop.process.worker"
VISITORS = 32
READY_S = 180.0  # many times what a start takes: a loaded machine is no failure
SETTLE_S = 300.0
ANSWER_S = 15.0  # then a browser gives a request up
OUTAGE_S = 2.0  # noes wait in outboxes
BEFORE_S = (0.2, 1.5)  # between everything being ready and the next kill
UNREACHABLE = Answered(503, [], b"")
WAITING = "outboxes"


class ListeningPop:
    """A POP behind its public socket. No cookie jar: a browser's cookies are its own. `refused`: answers, by code."""

    def __init__(self, number: int, url: str, refused: Counter[str]) -> None:
        self.number = number
        self._refused = refused
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(base_url=url, timeout=ANSWER_S, cookies=jar, trust_env=False)

    async def http(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes, cookies: bytes
    ) -> Answered:
        """One request, as `fleet.simulated_browser.Pop` wants it."""
        sent = [*{**HEADERS, **headers}.items(), *([(b"cookie", cookies)] if cookies else [])]
        try:
            response = await self._client.request(method, path, headers=sent, content=body)
        except httpx.HTTPError as error:
            self._refused[type(error).__name__] += 1
            return UNREACHABLE
        if response.is_error:
            self._refused[f"{response.status_code} {response.headers.get('consent-edge-code', '')}"] += 1
        return Answered(response.status_code, [(k.lower(), v) for k, v in response.headers.raw], response.content)

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


class Killer:
    """Kills and starts again, one after the other."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._turns: tuple[tuple[str, Callable[[], None]], ...] = (
            ("lead", lambda: fleet.pops[TWO_WORKERS].restart(READY_S)),
            ("worker", self._worker),
            ("POP", lambda: fleet.pops[OTHER].restart(READY_S)),
            ("control plane", lambda: fleet.control_plane.restart(READY_S)),
            ("POP without control plane", self._both),
        )

    def kill(self, nth: int) -> str:
        """Returns what was killed, once it is ready again. Raises: Unavailable."""
        name, restart = self._turns[nth % len(self._turns)]
        restart()
        return name

    def _both(self) -> None:
        """What was said meanwhile is on the POP's disk alone."""
        plane, pop = self._fleet.control_plane, self._fleet.pops[OTHER]
        plane.kill()
        time.sleep(OUTAGE_S)
        pop.kill()
        for member in (plane, pop):
            member.start()
        for member in (plane, pop):
            member.wait_ready(READY_S)

    def _worker(self) -> None:
        """Its lead starts another."""
        lead = self._fleet.pops[TWO_WORKERS]
        (worker,) = _workers(lead)
        worker.kill()
        until = time.monotonic() + READY_S
        while worker.is_running() and time.monotonic() < until:
            time.sleep(0.05)
        lead.wait_ready(READY_S)


def _workers(lead: Member) -> list[psutil.Process]:
    assert lead.process is not None
    return [one for one in psutil.Process(lead.process.pid).children() if WORKER_MODULE in one.cmdline()]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`waiting`: withdrawals that no outbox has got rid of in the end; `kills`: by what was killed."""

    verdict: Verdict
    kills: Counter[str]
    waiting: int
    seconds: float


def run_kills(
    place: Path, report: Path, out: Console, kills: int, progress: Progress, visitors: int = VISITORS
) -> tuple[dict[str, Any], list[Row]]:
    """So many kills. Writes `kills.json`. Raises: Unavailable if a process does not come back."""
    stage = prepare(place / "edge", place / "components", out)
    with Fleet(stage.data, SPECS, site=SHOP / "site", components=stage.components) as fleet:
        outcome = asyncio.run(_play(fleet, kills, visitors, progress))
    rows = judge(outcome, kills)
    document = _document(outcome, visitors)
    (report / "kills.json").write_text(json.dumps(document, indent=1))
    out.print(_table(document))
    return document, rows


def judge(outcome: Outcome, kills: int) -> list[Row]:
    """A row for each promise, and whether it was hard enough to mean anything."""
    broken, seen = outcome.verdict.broken, outcome.verdict.seen
    rows = [_zero(name.replace("_", " "), broken[name], meaning) for name, meaning in PROMISES.items()]
    rows.append(_zero(WAITING, outcome.waiting, "withdrawals that still wait for the control plane in the end"))
    done = sum(outcome.kills.values())
    rows.append(Row("kills", OK if done >= kills else BROKEN, done, kills, "", f"{outcome.seconds:.0f} s"))
    hard = min(seen["personalised"], seen["answers_after_no"], seen["noes"], seen["yeses"], seen["sent_again"])
    text = "personalised answers, answers after a no, noes, yeses and repeats: each has to occur"
    rows.append(Row("load", OK if hard else BROKEN, hard, 1, "", text))
    return rows


def _zero(name: str, count: int, meaning: str) -> Row:
    return Row(name, OVER if count else OK, count, 0, "", meaning)


async def _play(fleet: Fleet, kills: int, visitors: int, progress: Progress) -> Outcome:
    verdict, names, begun = Verdict(), CookieNames.choose(secure=True), time.monotonic()
    urls = [fleet.url(name) for name in fleet.pops]
    pops = [ListeningPop(number, url, verdict.refused) for number, url in enumerate(urls, start=1)]
    people = [Visitor(number, pops, verdict, names=names) for number in range(visitors)]
    try:
        await asyncio.gather(*(one.arrive() for one in people))
        killed = await _under_load(fleet, people, kills, progress)
        await _settle(fleet)
        for one in people:
            await one.judge()  # also brings what only a cookie keeps
        waiting = await _settle(fleet)
        for one in people:
            await one.say_yes_again()
    finally:
        await asyncio.gather(*(pop.close() for pop in pops))
    return Outcome(verdict, killed, waiting, time.monotonic() - begun)


async def _under_load(fleet: Fleet, people: list[Visitor], kills: int, progress: Progress) -> Counter[str]:
    killer, stop, random, killed = Killer(fleet), asyncio.Event(), Random(1), Counter[str]()  # noqa: S311
    async with asyncio.TaskGroup() as group:
        for one in people:
            group.create_task(one.live(stop))
        try:
            for nth in range(kills):
                await asyncio.sleep(random.uniform(*BEFORE_S))
                killed[await asyncio.to_thread(killer.kill, nth)] += 1
                progress(nth + 1, kills)
        finally:
            stop.set()
    return killed


async def _settle(fleet: Fleet) -> int:
    """Wait until the outboxes are empty and the POPs stand at one entry of the log. Returns what still waits."""
    until = time.monotonic() + SETTLE_S
    async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as client:
        while True:
            states = [await _state(client, fleet.admin_url(name)) for name in fleet.pops]
            waiting = sum(int(state["outbox_pending"]) for state in states)
            level = len({state["revocation_seq"] for state in states}) == 1
            if (not waiting and level and all(state["in_sync"] for state in states)) or time.monotonic() > until:
                return waiting
            await asyncio.sleep(0.5)


async def _state(client: httpx.AsyncClient, admin: str) -> dict[str, Any]:
    state: dict[str, Any] = (await client.get(f"{admin}/readyz")).json()
    return state


def _document(outcome: Outcome, visitors: int) -> dict[str, Any]:
    verdict = outcome.verdict
    return {
        **{name: verdict.broken[name] for name in PROMISES},
        "waiting": outcome.waiting,
        "kills": dict(outcome.kills),
        "seen": dict(sorted(verdict.seen.items())),
        "refused": dict(verdict.refused.most_common()),
        "examples": verdict.examples,
        "visitors": visitors,
        "seconds": round(outcome.seconds, 1),
        "machine": describe(),
    }


def _table(document: dict[str, Any]) -> Table:
    table = Table("", "count", title=f"{document['visitors']} visitors, {document['seconds']:.0f} s", box=None)
    for name, count in (*document["kills"].items(), *document["seen"].items(), *document["refused"].items()):
        table.add_row(name.replace("_", " "), f"{count:,}")
    for example in document["examples"]:
        table.add_row(example, "")
    return table
