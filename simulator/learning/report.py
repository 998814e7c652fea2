"""Several promises side by side: the same shop and visitors without noise and under epsilon 1, 2, 5 and 8.

document = compare(weeks=17, pops=20, visitors=1000, seed=1)
write(document, Path("build/learn"))      # learn.json, ctr.svg, budget.svg and the same as PNG
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from consent_core.privacy.accounting import epsilon as epsilon_of
from consent_core.privacy.mechanism import Mechanism
from simulator.learning.shop import Shop
from simulator.learning.weeks import Deployment, play

EPSILONS: Final = ("1", "2", "5", "8")
WEEKS, DELTA, CLIP = 5, "1e-5", "0.4"
PROMISED: Final = "5"  # the policy's epsilon, which is judged
GATE_LIFT: Final = 0.90  # of the possible lift after 17 weeks, from 673 visits a day on
GATE_WEEKS, GATE_VISITORS = 17, 673
LAST: Final = 4  # weeks whose mean is judged: one week alone is a draw of the noise
COLOURS: Final = {"no noise": "#222222", "1": "#c8452f", "2": "#f2b950", "5": "#1f7a6d", "8": "#5aa0c8"}
Progress = Callable[[int, int], None]


def compare(weeks: int, pops: int, visitors: int, seed: int, tell: Progress = lambda *_: None) -> dict[str, Any]:
    """One run for each promise, and one without noise."""
    shop, runs = Shop.open(), list[dict[str, Any]]()
    for name in ("no noise", *EPSILONS):
        mechanism = Mechanism.promising(WEEKS, PROMISED if name == "no noise" else name, DELTA, CLIP)
        deployment = Deployment(pops, visitors, mechanism, noised=name != "no noise", seed=seed)
        rows = []
        for week in play(shop, deployment, weeks):
            rows.append({**asdict(week), "lift": shop.lift(week.greedy), "served_lift": shop.lift(week.served)})
            tell(len(runs) * weeks + len(rows), weeks * (1 + len(EPSILONS)))
        runs.append({"epsilon": name, "sigma2": mechanism.sigma2 if deployment.noised else 0, "weeks": rows})
    shown = {"weeks": weeks, "pops": pops, "visitors": visitors, "seed": seed, "delta": DELTA, "unit_weeks": WEEKS}
    rates = {"uniform": shop.uniform, "best": shop.best}
    return {**shown, **rates, "runs": runs, "gate": _gate(runs, weeks, visitors)}


def _gate(runs: list[dict[str, Any]], weeks: int, visitors: int) -> dict[str, Any]:
    """The policy's promise against the lift that it must reach; not judged for a short run or few visitors."""
    last = next(run["weeks"][-LAST:] for run in runs if run["epsilon"] == PROMISED)
    lift = sum(week["lift"] for week in last) / len(last)
    judged = weeks >= GATE_WEEKS and visitors >= GATE_VISITORS
    return {"lift": lift, "at_least": GATE_LIFT, "judged": judged, "passed": not judged or lift >= GATE_LIFT}


def write(document: dict[str, Any], directory: Path) -> None:
    """The numbers and their two pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "learn.json").write_text(json.dumps(document, indent=1))
    _save(_rates(document), directory / "ctr")
    _save(_budget(document), directory / "budget")


def table(document: dict[str, Any], directory: Path) -> Table:
    """For a terminal: each promise with what it reached."""
    verdict = "" if not document["gate"]["judged"] else ", passed" if document["gate"]["passed"] else ", FAILED"
    rows = Table("ε for any 5 weeks", "lift after the last week", "click rate", title=f"{directory}/ctr.svg{verdict}")
    for run in document["runs"]:
        last = run["weeks"][-1]
        rows.add_row(run["epsilon"], f"{100 * last['lift']:.0f} %", f"{100 * last['greedy']:.2f} %")
    return rows


def _save(figure: Figure, path: Path) -> None:
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=130)


def _rates(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    figure.suptitle(
        f"Click rate of the model after each week: {document['pops']} places, {document['visitors']} visits a day each"
    )
    models, told = figure.subplots(1, 2, sharey=True)
    _line(models, document["best"], "knows every taste")
    _line(models, document["uniform"], "shows anything")
    for run in document["runs"]:
        name = run["epsilon"]
        label = name if name == "no noise" else f"ε = {name} for any 5 weeks"
        rates = [100 * week["greedy"] for week in run["weeks"]]
        models.plot(range(1, len(rates) + 1), rates, color=COLOURS[name], label=label, marker="o", markersize=3)
    models.set(title="what the baked model would earn", xlabel="weeks learnt", ylabel="click rate, %")
    models.legend(loc="lower right", fontsize=8)
    _told(told, document)
    return figure


def _told(axes: Axes, document: dict[str, Any]) -> None:
    """What an operator sees: the figures with their noise, beside what really was served."""
    weeks = next(run["weeks"] for run in document["runs"] if run["epsilon"] == PROMISED)
    numbers = range(1, len(weeks) + 1)
    rates, errors = ([100 * week[key] for week in weeks] for key in ("told", "told_error"))
    axes.errorbar(numbers, rates, yerr=errors, fmt="o", color=COLOURS[PROMISED], label="from the noised figures, ±1 σ")
    axes.plot(numbers, [100 * week["served"] for week in weeks], color="#9a9a9a", label="really served")
    axes.set(title=f"what the operator is told at ε = {PROMISED}", xlabel="week")
    axes.legend(loc="lower right", fontsize=8)


def _budget(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for run in document["runs"]:
        name = run["epsilon"]
        if name == "no noise":
            continue
        spent = [epsilon_of(week["spent"], float(DELTA)) for week in run["weeks"]]
        axes.step(range(1, len(spent) + 1), spent, where="mid", color=COLOURS[name], label=f"promised {name}")
        axes.axhline(float(name), color=COLOURS[name], linewidth=0.6, linestyle=":")
    axes.set(
        title=f"ε that any 5 weeks have spent of one place's budget (δ = {DELTA})",
        xlabel="week",
        ylabel="ε",
        ylim=(0, 9),
    )
    axes.legend(loc="center right", fontsize=8)
    return figure


def _line(axes: Axes, rate: float, label: str) -> None:
    axes.axhline(100 * rate, color="#9a9a9a", linestyle="--", linewidth=0.8)
    axes.annotate(label, (1, 100 * rate), xytext=(2, 3), textcoords="offset points", fontsize=8, color="#555555")
