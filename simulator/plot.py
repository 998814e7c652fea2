"""The picture of a simulation, as SVG and PNG: how fast entries were enforced, what was shown, how POPs stood."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fleet.bounds import AIM_S, BOUND_S
from simulator.report import Document
from simulator.scenario import say_pops
from simulator.virtual.run import Outcome, Second
from simulator.virtual.watch import CLOSED, CONNECTED, CUT_OFF, DOWN, POLL_ONLY, Line, Pair

MOST_ROWS = 12
WINDOW_S = 3  # availability is smoothed over so many seconds

# How a POP stands: colour, and what the legend says.
STATES = {
    CONNECTED: ("#9bd1c6", "in sync"),
    POLL_ONLY: ("#5aa0c8", "in sync, push cut off"),
    CUT_OFF: ("#f2b950", "cut off, not yet 60 s"),
    CLOSED: ("#c8452f", "fail closed: only defaults"),
    DOWN: ("#3d4248", "down or asleep"),
}
INK, FAINT = "#222222", "#9a9a9a"


def draw(outcome: Outcome, document: Document, directory: Path) -> tuple[Path, Path]:
    """Write `simulate.svg` and `simulate.png`. Returns: both paths."""
    rows = _rows(outcome)
    figure = Figure(figsize=(12, 7.2 + 0.28 * len(rows)), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=[3.2, 2.0, 0.7 + 0.32 * len(rows)])
    figure.suptitle(_title(document), fontsize=13, color=INK)
    _delays(figure.add_subplot(grid[0, 0]), outcome.pairs)
    _delays_by_kind(figure.add_subplot(grid[0, 1]), outcome.pairs)
    shown = figure.add_subplot(grid[1, :])
    _availability(shown, outcome)
    timeline = figure.add_subplot(grid[2, :], sharex=shown)
    _timeline(timeline, outcome, rows)
    paths = directory / "simulate.svg", directory / "simulate.png"
    for path in paths:
        figure.savefig(path, dpi=130)
    return paths


def _title(document: Document) -> str:
    return (
        f"{document['scenario']['pops']} POPs, {document['requests']:,} requests, {document['entries']} log entries:  "
        f"{document['personalised_after_bound']} personalised after the {BOUND_S:g} s bound"
    )


def _delays(axes: Axes, pairs: Sequence[Pair]) -> None:
    """Cumulative distributions, time on a log scale."""
    for label, colour, chosen in (
        ("every POP", INK, list(pairs)),
        ("POPs connected all the while", "#1f7a6d", [pair for pair in pairs if pair.connected]),
    ):
        delays = sorted(max(pair.delay, 0.001) for pair in chosen if math.isfinite(pair.delay))
        shares = [(index + 1) / len(chosen) for index in range(len(delays))]
        axes.step(delays, shares, where="post", label=f"{label} ({len(chosen):,} pairs)", color=colour)
    axes.set_xscale("log")
    _limits(axes)
    axes.set_ylim(0, 1.02)
    axes.set_title("Entry committed → enforced, share of (POP, entry) pairs", fontsize=10, loc="left")
    axes.set_xlabel("seconds")
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    _tidy(axes)


def _delays_by_kind(axes: Axes, pairs: Sequence[Pair]) -> None:
    """One row of dots per kind of entry, with its median and 99th percentile."""
    kinds = sorted({pair.kind for pair in pairs})
    for row, kind in enumerate(kinds):
        delays = sorted(max(pair.delay, 0.001) for pair in pairs if pair.kind == kind and math.isfinite(pair.delay))
        heights = [row + 0.5 * ((index * 0.618034) % 1.0 - 0.5) for index in range(len(delays))]
        axes.scatter(delays, heights, s=3, color="#1f7a6d", alpha=0.25, linewidths=0, rasterized=True)
        for share, mark in ((0.5, "|"), (0.99, "D")):
            if delays:
                value = delays[math.ceil(share * len(delays)) - 1]
                axes.scatter([value], [row], marker=mark, s=70 if mark == "|" else 24, color=INK, zorder=3)
    axes.set_xscale("log")
    _limits(axes)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_ylim(-0.6, max(len(kinds), 1) - 0.4)
    axes.set_title("The same by kind of entry;  | median   ◆ 99th percentile", fontsize=10, loc="left")
    axes.set_xlabel("seconds")
    _tidy(axes)


def _limits(axes: Axes) -> None:
    for at, text in ((AIM_S, "aim 1 s"), (BOUND_S, "bound 60 s")):
        axes.axvline(at, color=FAINT, linestyle="--", linewidth=1)
        axes.annotate(text, (at, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -60),
                      textcoords="offset points", fontsize=7, color="#666666", rotation=90)  # fmt: skip
    axes.set_xlim(0.008, 120)


def _availability(axes: Axes, outcome: Outcome) -> None:
    """Share of the requests with something allowed that got something, over time."""
    for label, colour, seconds in (
        ("all POPs", INK, outcome.seconds),
        ("POPs that something happens to", "#c8452f", outcome.troubled),
    ):
        times, shares = _shares(seconds)
        if times:
            axes.plot(times, shares, label=label, color=colour, linewidth=1.4)
    axes.set_ylim(-0.03, 1.06)
    axes.set_title("Availability: shown something, of what consent and policy allow", fontsize=10, loc="left")
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    axes.tick_params(labelbottom=False)
    _tidy(axes)


def _shares(seconds: Sequence[Second]) -> tuple[list[float], list[float]]:
    times, shares = [], []
    for index in range(len(seconds)):
        window = seconds[max(0, index - WINDOW_S + 1) : index + 1]
        entitled = sum(second.entitled for second in window)
        if entitled:
            times.append(index + 0.5)
            shares.append(sum(second.personalised for second in window) / entitled)
    return times, shares


def _rows(outcome: Outcome) -> list[tuple[str, list[Line]]]:
    """One row per fate, as far as there is room: POPs to which the same things happen share one."""
    fates: dict[tuple[tuple[str, float, float], ...], list[int]] = {}
    for number in outcome.lines:
        happens = [(event.kind, event.at, event.length) for event in outcome.scenario.events if event.pop == number]
        clock = [("skew", outcome.scenario.skew[number], 0.0)] if number in outcome.scenario.skew else []
        fates.setdefault((*clock, *happens), []).append(number)
    others = fates.pop((), [])
    told = sorted(fates.values())
    rows = [_row(outcome, numbers) for numbers in told[:MOST_ROWS]]
    if rest := [number for numbers in told[MOST_ROWS:] for number in numbers]:
        rows.append((f"{len(rest)} more", [outcome.lines[number] for number in rest]))
    if others:
        rows.append((f"the other {len(others)}", [outcome.lines[number] for number in others]))
    return rows


def _row(outcome: Outcome, numbers: list[int]) -> tuple[str, list[Line]]:
    name = f" {outcome.names[numbers[0] - 1]}" if len(numbers) == 1 else ""
    return f"{say_pops(numbers)}{name}", [outcome.lines[number] for number in numbers]


def _timeline(axes: Axes, outcome: Outcome, rows: Sequence[tuple[str, list[Line]]]) -> None:
    """How each POP stood; a row of several shows them stacked, thin as they are."""
    end = outcome.scenario.length
    for row, (_, lines) in enumerate(rows):
        height = 0.78 / len(lines)
        for index, line in enumerate(lines):
            _bar(axes, line, row - 0.39 + index * height, height, end)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, end)
    axes.set_xlabel("simulated seconds since traffic began")
    seen = {state for line in outcome.lines.values() for state in line.states}
    patches = [Patch(color=colour, label=text) for state, (colour, text) in STATES.items() if state in seen]
    axes.figure.legend(handles=patches, fontsize=8, loc="outside lower center", ncols=len(STATES), frameon=False)
    axes.set_title("How POPs stood", fontsize=10, loc="left")
    _tidy(axes)
    axes.grid(visible=False, axis="y")


def _bar(axes: Axes, line: Line, bottom: float, height: float, end: float) -> None:
    until = [*line.since[1:], max(end, line.since[-1])]
    spans: dict[str, list[tuple[float, float]]] = {}
    for start, stop, state in zip(line.since, until, line.states, strict=True):
        start, stop = max(start, 0.0), min(stop, end)
        if stop > start:
            spans.setdefault(state, []).append((start, stop - start))
    for state, parts in spans.items():
        axes.broken_barh(parts, (bottom, height), facecolors=STATES[state][0], linewidth=0)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
