"""How many workers a deployment needs, from measured figures: requests, memory, and the fan-out of the log.

    plan = plan_for(Demand(), Measured())
    python -m fleet.capacity --benches build/bench.json      # the same with figures of this machine

Arithmetic only: a worker is one process on one core; a POP has at least two, so that one may restart. The page
`docs/capacity.md` is written from `report()`, and a test compares them.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

DAY_S = 86_400
MIB = 1024 * 1024
SANDBOX_MEMORIES = 2  # guest and composed verifier


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number and where it comes from. `bench`: the benchmark that measures it again, "" for none."""

    value: float
    unit: str
    source: str
    bench: str = ""
    statistic: str = "median_ms"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one worker does. Defaults: 2 shared vCPU (Xeon 2.1 GHz) with other work on them, so they are floors."""

    hot_per_s: Figure = Figure(
        3_600, "requests/s", "benches/test_pop_http.py, load 8 on 2 cores", "test_hot_image_over_http", "requests_per_s"
    )
    decision_ms: Figure = Figure(
        2.7, "ms", "docs/sandbox.md, with its making and warm-up", "test_fresh_with_its_making[personalization]"
    )
    validation_ms: Figure = Figure(
        5.1, "ms", "docs/sandbox.md, with its making and warm-up", "test_fresh_with_its_making[consent_validation]"
    )
    render_ms: Figure = Figure(260, "ms", "benches/test_images.py, load 8 on 2 cores", "test_cold_hero[plain]")
    poll_ms: Figure = Figure(2.0, "ms", "1.3 ms in process, rounded up for HTTP and TLS")
    consents_per_s: Figure = Figure(
        100, "changes/s", "the rate benches/test_consent_api.py holds; its limit has not been looked for"
    )
    poll_bytes: Figure = Figure(1_000, "bytes", "405 in an empty answer, 200 an entry, HTTP and TLS around it")
    pop_idle_mib: Figure = Figure(110, "MiB", "resident, two components loaded, nothing served yet")
    control_plane_mib: Figure = Figure(112, "MiB", "resident, SQLite")
    token_bytes: Figure = Figure(1_000, "bytes", "PopConfig.token_cache_entries")
    decision_bytes: Figure = Figure(1_000, "bytes", "PopConfig.decision_memo_entries")


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of the deployment. Shares are of requests, and are assumptions to replace by your own."""

    pops: int = 300
    requests_per_day: float = 1e9
    peak_factor: float = 3.0  # busiest second over the day's mean
    busiest_pop_factor: float = 10.0  # busiest POP over the mean of all
    utilisation: float = 0.6  # of a core, at the peak: queues stay short
    fresh_share: float = 0.10  # decisions that nothing remembers: a fresh sandbox
    validation_share: float = 0.02  # tokens not seen before at this worker
    render_share: float = 0.0002  # pictures not in the cache
    requests_per_visit: float = 20.0
    consenting_share: float = 0.4  # of visits
    refreshes_per_visit: float = 1.0  # a token lives 300 s
    choices_share: float = 0.05  # visits in which somebody chooses
    withdrawals_share: float = 0.001  # visits in which somebody withdraws
    poll_s: float = 5.0  # SyncConfig.poll_s
    workers_at_least: int = 2
    token_entries: int = 50_000
    decision_entries: int = 20_000
    rendition_mib: int = 64
    sandbox_mib: int = 64  # function.toml, per memory


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes. Rates at the peak; memory in MiB."""

    mean_per_s: float
    peak_per_s: float
    busiest_pop_per_s: float
    request_ms: float
    worker_per_s: float
    mean_pop_workers: int
    busiest_pop_workers: int
    workers: int
    worker_mib: int
    pops_mib: int
    polls_per_s: float
    poll_mbit_per_s: float
    changes_per_s: float
    control_plane_workers: int


def plan_for(demand: Demand, measured: Measured) -> Plan:
    """The plan for a demand with these figures."""
    mean = demand.requests_per_day / DAY_S
    peak = mean * demand.peak_factor
    per_pop = peak / demand.pops
    cost = request_ms(demand, measured)
    rate = 1_000 / cost * demand.utilisation
    typical, busiest = (_workers(load, rate, demand) for load in (per_pop, per_pop * demand.busiest_pop_factor))
    total = max(demand.pops * typical, math.ceil(peak / rate)) + busiest - typical
    memory = worker_mib(demand, measured)
    visits = peak / demand.requests_per_visit
    polls = _polls(demand, visits)
    changes = visits * (demand.consenting_share * demand.refreshes_per_visit + demand.choices_share)
    control = changes / measured.consents_per_s.value + polls * measured.poll_ms.value / 1_000
    return Plan(
        mean_per_s=mean,
        peak_per_s=peak,
        busiest_pop_per_s=per_pop * demand.busiest_pop_factor,
        request_ms=cost,
        worker_per_s=rate,
        mean_pop_workers=typical,
        busiest_pop_workers=busiest,
        workers=total,
        worker_mib=memory,
        pops_mib=total * memory,
        polls_per_s=polls,
        poll_mbit_per_s=polls * measured.poll_bytes.value * 8 / 1e6,
        changes_per_s=changes,
        control_plane_workers=max(2, math.ceil(control / demand.utilisation)),
    )


def request_ms(demand: Demand, measured: Measured) -> float:
    """Milliseconds of a core that a request takes on average."""
    return (
        1_000 / measured.hot_per_s.value
        + demand.fresh_share * measured.decision_ms.value
        + demand.validation_share * measured.validation_ms.value
        + demand.render_share * measured.render_ms.value
    )


def worker_mib(demand: Demand, measured: Measured) -> int:
    """Memory of one worker with full caches and, of each function, an instance serving and one made ahead."""
    caches = demand.token_entries * measured.token_bytes.value + demand.decision_entries * measured.decision_bytes.value
    sandboxes = 2 * 2 * SANDBOX_MEMORIES * demand.sandbox_mib
    return math.ceil(measured.pop_idle_mib.value + caches / MIB + demand.rendition_mib + sandboxes)


def _workers(load: float, rate: float, demand: Demand) -> int:
    return max(demand.workers_at_least, math.ceil(load / rate))


def _polls(demand: Demand, visits: float) -> float:
    """Polls a second: each POP's own rhythm, and one more at every POP for each withdrawal, which wakes them all."""
    return demand.pops / demand.poll_s + demand.pops * visits * demand.withdrawals_share


def with_benches(measured: Measured, report: Mapping[str, Any]) -> Measured:
    """The figures that a `--benchmark-json` file has, in place of ours. Raises: KeyError if it is none."""
    found = {entry["name"]: entry for entry in report["benchmarks"]}
    again = {}
    for field in fields(measured):
        figure: Figure = getattr(measured, field.name)
        if figure.bench in found:
            value = _statistic(found[figure.bench], figure.statistic)
            again[field.name] = replace(figure, value=value, source=f"this file, {figure.bench}")
    return replace(measured, **again)


def _statistic(entry: Mapping[str, Any], name: str) -> float:
    return float(entry["stats"]["median"] * 1_000 if name == "median_ms" else entry["extra_info"][name])


def report(demand: Demand, measured: Measured) -> str:
    """The tables of `docs/capacity.md`."""
    return "\n".join([*_figures(measured), "", *_assumptions(demand), "", *_result(demand, plan_for(demand, measured))])


def _figures(measured: Measured) -> Iterator[str]:
    yield from ("| figure | value | from | measured again by |", "|---|---|---|---|")
    for field in fields(measured):
        figure: Figure = getattr(measured, field.name)
        again = f"`{figure.bench}`" if figure.bench else "–"
        yield f"| `{field.name}` | {figure.value:,g} {figure.unit} | {figure.source} | {again} |"


def _assumptions(demand: Demand) -> Iterator[str]:
    yield from ("| demand | value |", "|---|---|")
    for field in fields(demand):
        yield f"| `{field.name}` | {getattr(demand, field.name):,g} |"


def _result(demand: Demand, plan: Plan) -> Iterator[str]:
    yield from ("| it takes | |", "|---|---|")
    yield f"| requests/s, mean / peak | {plan.mean_per_s:,.0f} / {plan.peak_per_s:,.0f} |"
    yield f"| requests/s at the busiest POP | {plan.busiest_pop_per_s:,.0f} |"
    yield f"| a request, of a core | {plan.request_ms:.2f} ms |"
    yield f"| requests/s a worker, at {demand.utilisation:.0%} of a core | {plan.worker_per_s:,.0f} |"
    yield f"| workers at a typical / the busiest POP | {plan.mean_pop_workers} / {plan.busiest_pop_workers} |"
    yield f"| workers in {demand.pops} POPs | {plan.workers:,} |"
    yield f"| memory of a worker, all POPs | {plan.worker_mib:,} MiB, {plan.pops_mib / 1024:,.0f} GiB |"
    yield f"| polls/s at the control plane | {plan.polls_per_s:,.0f}, {plan.poll_mbit_per_s:.1f} Mbit/s |"
    yield f"| consent changes and refreshes/s | {plan.changes_per_s:,.0f} |"
    yield f"| control-plane workers | {plan.control_plane_workers} |"


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, with the figures of a benchmark run if one is named."""
    parser = argparse.ArgumentParser(prog="python -m fleet.capacity", description=__doc__.splitlines()[0])
    parser.add_argument("--benches", type=Path, help="a file of pytest --benchmark-json")
    for name, kind in (("pops", int), ("requests-per-day", float), ("peak-factor", float)):
        parser.add_argument(f"--{name}", type=kind)
    said = vars(parser.parse_args(arguments))
    benches = said.pop("benches")
    measured = with_benches(Measured(), json.loads(benches.read_text("utf-8"))) if benches else Measured()
    demand = replace(Demand(), **{name: value for name, value in said.items() if value is not None})
    sys.stdout.write(report(demand, measured) + "\n")


if __name__ == "__main__":
    main()
