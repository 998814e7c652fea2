"""The suites of `edge bench`: what to start, what to measure, where the reports go.

vitals   page loads in Chromium, the shop's three arms or any one page
micro    the pytest-benchmark suites under `benches/`, against budgets and same-run baselines
soak     memory of a POP under load
hosts    slot decisions on our POP and on wasmtime serve, wash and jco, side by side
workers  fresh decisions of one worker and of two
hostile  seven attacks beside honest visitors: their P99, and memory afterwards
replay   1,000 decision receipts decided again, in three processes and on V8
curves   what each step costs as slots, pictures, denials, visitors, log and POPs grow
kills    kill -9 of every kind of process under people who change their mind
"""

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from consent_core.errors import Rejected
from consent_core.resources import resource
from latency_gate import report, selftest
from latency_gate.arms import Arm, foreign_arm, grant, shop_arms, write_pages
from latency_gate.browser import chromium
from latency_gate.curves.suite import run_curves
from latency_gate.hostile.suite import run_hostile
from latency_gate.hosts import run_hosts
from latency_gate.judge import Row, differences, is_green, judge_regression
from latency_gate.kills import run_kills
from latency_gate.micro import judge_micro, read_results
from latency_gate.profiles import PROFILES, Profile
from latency_gate.replay import run_replay
from latency_gate.run import Overloaded, Result, measure
from latency_gate.run import Progress as OnProgress
from latency_gate.workers import run_workers

BENCHES = resource("benches")
GATE = Path("build/gate")
SUITES = ("micro", "vitals", "soak", "hosts", "workers", "kills", "hostile", "replay", "curves")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    suite: str | None
    url: str | None
    profile: str | None
    rounds: int | None
    base: Path | None
    report: Path
    self_test: bool = False
    click: str | None = None


def run_suites(options: Options, *, out: Console, as_json: bool = False) -> bool:
    """Run what was asked for, print it, write the reports. Returns whether all of it is green."""
    budgets = tomllib.loads((BENCHES / "budgets.toml").read_text())
    options.report.mkdir(parents=True, exist_ok=True)
    wanted = [options.suite] if options.suite else list(SUITES)
    documents, green = {}, True
    for suite in wanted:
        if suite not in RUNNERS:
            raise Rejected("unknown-suite", f"expected one of {', '.join(RUNNERS)}; got {suite}")
        documents[suite], passed = RUNNERS[suite](options, budgets, out)
        green &= passed
    if as_json:
        print(json.dumps(documents, indent=1))  # noqa: T201  this is the answer
    return green


SideBySide = Callable[[Path, Path, Console, int], tuple[dict[str, Any], list[Row]]]
Runner = Callable[["Options", dict[str, Any], Console], tuple[Any, bool]]


def _vitals(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    settings = budgets["vitals"]
    profile = _profile(options.profile or settings["profile"])
    looks = (options.rounds,) if options.rounds else tuple(settings["looks"])
    with _pages(options, out) as arms, _bar(out, f"page loads, {profile.name}") as progress:
        if options.self_test:
            outcomes = selftest.run_selftest(arms, profile, settings["budgets"], progress)
            return _show_selftest(outcomes, out)
        try:
            result = measure(arms, profile, looks, settings["budgets"], progress=progress)
        except Overloaded as error:
            raise Rejected("machine-overloaded", str(error)) from error
    if options.base:
        result.rows.append(_against(options.base, result))
    _write_vitals(result, settings["budgets"], options.report, out)
    return result.to_json(), result.green


def _against(base: Path, result: Result) -> Row:
    """LCP of this run against an earlier one's."""
    main = next(iter(result.arms))
    then = json.loads(base.read_text())
    earlier = then["samples"][main]
    head = [sample.lcp_ms for sample in result.arms[main] if sample.lcp_ms is not None]
    row = judge_regression("lcp-over-base", head, [sample["lcp_ms"] for sample in earlier if sample["lcp_ms"]])
    return replace(row, explanation="; ".join((row.explanation, *differences(then, result.to_json()))))


def _write_vitals(result: Result, budgets: dict[str, float], place: Path, out: Console) -> None:
    report.write_json(result, place / "vitals.json")
    report.write_junit("vitals", result.rows, place / "vitals.xml")
    report.write_html(result, budgets, place / "vitals.html")
    out.print(report.table(f"vitals, {result.profile}", result.rows))
    out.print(f"report: {place / 'vitals.html'}", highlight=False)


def _show_selftest(outcomes: list[selftest.Outcome], out: Console) -> tuple[Any, bool]:
    for outcome in outcomes:
        mark = "[green]caught[/]" if outcome.passed else "[red]NOT CAUGHT[/]"
        out.print(f"{mark:24} {outcome.fault:22} {outcome.found}", highlight=False)
    return [{"fault": o.fault, "passed": o.passed, "found": o.found} for o in outcomes], all(o.passed for o in outcomes)


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise Rejected("unknown-profile", f"expected one of {', '.join(PROFILES)}; got {name}")
    return PROFILES[name]


@contextmanager
def _pages(options: Options, out: Console) -> Iterator[list[Arm]]:
    """The arms: the page that was named, or the demo shop's three on a POP of our own."""
    if options.url:
        yield [foreign_arm(options.url, options.click)]
        return
    from fleet.processes import Fleet, PopSpec
    from fleet.project import SHOP, prepare

    stage = prepare(GATE / "edge", GATE / "components", out)
    site = GATE / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(SHOP / "site", site)
    with Fleet(stage.data, [PopSpec("gate-1", "EU")], site=site, components=stage.components) as fleet:
        origin = fleet.url("gate-1")
        write_pages(site, *_decision(origin))
        yield shop_arms(origin)


DECISIONS = 40  # asked for at most, four a second


def _decision(origin: str) -> tuple[dict[str, Any], str]:
    """What a consenting visitor of the home page is shown, and the URL that says so."""
    with chromium() as browser:
        context = browser.new_context()
        grant(context, origin, ["contextual"])
        page = context.new_page()
        page.goto(f"{origin}/")
        url = page.evaluate("'/v1/slots/home-hero?' + document.getElementById('hero').dataset.consentContext")
        for _ in range(DECISIONS):  # a POP that has just begun may give its first visitor the default
            decision = page.evaluate("async (url) => (await fetch(url)).json()", url)
            if decision["category"] != "default":
                return decision, url
            page.wait_for_timeout(250)
        raise Rejected("bench-failed", "the POP showed a consenting visitor nothing but the default")


def _micro(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    place = options.report / "micro.json"
    pytest = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    command = [*pytest, "--benchmark-only", f"--benchmark-json={place}", str(BENCHES)]
    with out.status("micro-benchmarks …"):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        out.print(run.stdout[-4000:] + run.stderr[-2000:], highlight=False, markup=False)
        raise Rejected("bench-failed", "a benchmark did not run; its output is above")
    rows = judge_micro(budgets["micro"], read_results([place]))
    report.write_junit("micro", rows, options.report / "micro.xml")
    out.print(report.table("micro", rows))
    return [row.to_json() for row in rows], is_green(rows)


def _soak(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    from latency_gate.soak import run_soak

    with _bar(out, "requests") as progress:
        rows = run_soak(budgets["soak"], GATE, out, progress)
    report.write_junit("soak", rows, options.report / "soak.xml")
    out.print(report.table("soak", rows))
    return [row.to_json() for row in rows], is_green(rows)


def _kills(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    wanted = options.rounds or budgets["kills"]["kills"]
    with _bar(out, "kills") as progress:
        document, rows = run_kills(GATE / "kills", options.report, out, wanted, progress)
    report.write_junit("kills", rows, options.report / "kills.xml")
    out.print(report.table("kills", rows))
    return {**document, "rows": [row.to_json() for row in rows]}, is_green(rows)


def _hostile(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    seconds = options.rounds or budgets["hostile"]["seconds"]
    with _bar(out, "attacks") as progress:
        document, rows = run_hostile(GATE / "hostile", options.report, out, seconds, progress)
    report.write_junit("hostile", rows, options.report / "hostile.xml")
    out.print(report.table("hostile", rows))
    return {**document, "rows": [row.to_json() for row in rows]}, is_green(rows)


def _replay(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
    wanted = options.rounds or budgets["replay"]["receipts"]
    document, rows = run_replay(GATE / "replay", options.report, out, wanted)
    report.write_junit("replay", rows, options.report / "replay.xml")
    out.print(report.table("replay", rows))
    return {**document, "rows": [row.to_json() for row in rows]}, is_green(rows)


def _curves(options: Options, _: dict[str, Any], out: Console) -> tuple[Any, bool]:
    document, rows = run_curves(GATE, options.report, out)
    report.write_junit("curves", rows, options.report / "curves.xml")
    out.print(report.table("curves: the steepest rise of each step, as a power of the size", rows))
    return {**document, "rows": [row.to_json() for row in rows]}, is_green(rows)


def _side_by_side(name: str, suite: SideBySide) -> Runner:
    """A suite that runs processes beside each other: `suite(place, report, out, seconds)`."""

    def run(options: Options, budgets: dict[str, Any], out: Console) -> tuple[Any, bool]:
        document, rows = suite(GATE / name, options.report, out, options.rounds or budgets[name]["seconds"])
        report.write_junit(name, rows, options.report / f"{name}.xml")
        out.print(report.table(name, rows))
        return {**document, "rows": [row.to_json() for row in rows]}, is_green(rows)

    return run


RUNNERS = {
    "vitals": _vitals,
    "micro": _micro,
    "soak": _soak,
    "hosts": _side_by_side("hosts", run_hosts),
    "workers": _side_by_side("workers", run_workers),
    "kills": _kills,
    "hostile": _hostile,
    "replay": _replay,
    "curves": _curves,
}


@contextmanager
def _bar(out: Console, title: str) -> Iterator[OnProgress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=out, disable=not out.is_terminal) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
