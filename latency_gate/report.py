"""A result as people and machines want it: terminal table, JSON, JUnit XML, one HTML file with plots."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, select_autoescape
from matplotlib.figure import Figure
from rich.table import Table

from latency_gate.judge import ADVISORY, OK, Row, beside
from latency_gate.run import Result
from latency_gate.stats import summary

mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "consent-edge"

COLOUR_OF = {OK: "green", ADVISORY: "yellow"}
COLOURS = {"ours": "#0b6e69", "plain": "#7a8a94", "antiflicker": "#c8702a", "page": "#0b6e69"}
LABELS = {"ours": "consent-edge", "plain": "no personalisation", "antiflicker": "client-side swap, hidden until done"}
MEASURES = (
    ("lcp_ms", "Largest Contentful Paint", "lcp_ms"),
    ("swap_to_paint_ms", "Swap to paint after a consent toggle", "swap_to_paint_ms"),
    ("toggle_inp_ms", "INP of the toggle", "inp_ms"),
    ("inp_ms", "INP of the first click after the swap", "inp_ms"),
)


def table(title: str, rows: Sequence[Row]) -> Table:
    """The rows for a terminal."""
    out = Table(title=title, title_justify="left")
    for heading, justify in (("row", "left"), ("measured", "right"), ("budget", "right"), ("", "left"), ("", "left")):
        out.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        colour = COLOUR_OF.get(row.status, "red")
        out.add_row(row.name, number(row.measured, row.unit), number(row.budget, row.unit),
                    f"[{colour}]{row.status}[/{colour}]", row.explanation)  # fmt: skip
    return out


def number(value: float | None, unit: str) -> str:
    """A measurement with its unit; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.4g} {unit}".rstrip()


def write_json(result: Result, path: Path) -> None:
    """The whole result, samples included."""
    path.write_text(json.dumps(result.to_json(), indent=1))


def write_junit(suite: str, rows: Sequence[Row], path: Path) -> None:
    """One test case per row, for CI systems that show JUnit."""
    root = ET.Element("testsuite", name=suite, tests=str(len(rows)))
    root.set("failures", str(sum(row.status not in COLOUR_OF for row in rows)))
    for row in rows:
        case = ET.SubElement(root, "testcase", classname=suite, name=row.name)
        if row.status not in COLOUR_OF:
            ET.SubElement(case, "failure", type=row.status, message=row.explanation)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_html(result: Result, budgets: dict[str, float], path: Path) -> None:
    """One self-contained page: verdicts, and the distribution of every measure per arm."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(["html"])
    )
    plots = [(title, _distribution(result, field, title, budgets[budget])) for field, title, budget in MEASURES
             if _series(result, field)]  # fmt: skip
    if len(result.arms) > 1:
        plots.insert(1, ("Paired LCP differences", _differences(result)))
    summaries = {
        arm: {field: summary(values) for field, _, _ in MEASURES if (values := _series(result, field).get(arm))}
        for arm in result.arms
    }
    page = templates.get_template("vitals.html").render(
        result=result, plots=plots, number=number, summaries=summaries, labels=LABELS, measures=MEASURES
    )
    path.write_text(page)


def _series(result: Result, field: str) -> dict[str, list[float]]:
    series = {
        arm: [value for sample in samples if (value := getattr(sample, field)) is not None]
        for arm, samples in result.arms.items()
    }
    return {arm: values for arm, values in series.items() if values}


def _distribution(result: Result, field: str, title: str, budget: float) -> str:
    """Every sample as a dot per arm over its empirical distribution; the budget as a line if it is near."""
    series = _series(result, field)
    figure = Figure(figsize=(9, 1.2 + 0.8 * len(series)), layout="constrained")
    axes = figure.add_subplot()
    for row, (arm, values) in enumerate(series.items()):
        jitter = [row + 0.32 * ((i * 0.618) % 1 - 0.5) for i in range(len(values))]
        axes.scatter(values, jitter, s=16, alpha=0.6, color=COLOURS[arm], linewidths=0)
        seen = summary(values)
        for quantile, end, side in (("p50", row - 0.3, "top"), ("p95", row + 0.3, "bottom")):
            axes.vlines(seen[quantile], row - 0.3, row + 0.3, color=COLOURS[arm], linewidth=2)
            axes.annotate(f"{quantile} {seen[quantile]:.0f}", (seen[quantile], end), fontsize=8, ha="center", va=side)
    top = max(max(values) for values in series.values())
    if budget < 3 * top:
        axes.axvline(budget, color="#9d2a1f", linestyle="--", linewidth=1)
        axes.annotate(f"budget {budget:.0f}", (budget, -0.7), fontsize=8, color="#9d2a1f", ha="right")
    axes.set_yticks(range(len(series)), [LABELS.get(arm, arm) for arm in series])
    axes.set_ylim(-0.75, len(series) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("ms")
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(figure, title)


def _differences(result: Result) -> str:
    """consent-edge minus each other arm, pair by pair."""
    figure = Figure(figsize=(9, 2.2), layout="constrained")
    axes = figure.add_subplot()
    ours = result.arms["ours"]
    others = [arm for arm in result.arms if arm != "ours"]
    for row, arm in enumerate(others):
        pairs = zip(beside(ours, result.arms[arm]), result.arms[arm], strict=True)
        values = [a.lcp_ms - b.lcp_ms for a, b in pairs if a.lcp_ms is not None and b.lcp_ms is not None]
        jitter = [row + 0.3 * ((i * 0.618) % 1 - 0.5) for i in range(len(values))]
        axes.scatter(values, jitter, s=16, alpha=0.6, color=COLOURS[arm], linewidths=0)
    axes.axvline(0, color="#14212b", linewidth=1)
    axes.set_yticks(range(len(others)), [f"minus {LABELS[arm]}" for arm in others])
    axes.set_ylim(-0.5, len(others) - 0.5)
    axes.set_xlabel("ms; left of the line consent-edge is faster")
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(figure, "Paired LCP differences")


def _svg(figure: Figure, title: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    text = out.getvalue()
    return text[text.index("<svg") :]
