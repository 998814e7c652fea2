"""The picture of the cost curves: time of each step, and memory, over the size; both axes in powers of ten."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latency_gate.curves.points import Measured

COLOURS = ("#0b6e69", "#c8702a", "#5a4fa2", "#7a8a94")
TITLES = {
    "slots": "slots of a catalogue",
    "assets": "pictures of a catalogue",
    "denials": "withdrawals a POP holds",
    "visitors": "visitors of a control plane",
    "log": "entries of the log",
    "pops": "POPs that follow",
}


def draw(curves: Mapping[str, Sequence[Measured]]) -> str:
    """SVG, a panel for each curve. The dotted line rises as the size does."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    panels = figure.subplots(2, 3, squeeze=False).flat
    for axes, (curve, points) in zip(panels, curves.items(), strict=False):
        _panel(axes, TITLES[curve], points)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": "What a step costs as a deployment grows"})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _panel(axes: Axes, title: str, points: Sequence[Measured]) -> None:
    sizes = [point.size for point in points]
    for colour, step in zip(COLOURS, points[0].us, strict=False):
        axes.plot(sizes, [point.us[step] / 1e3 for point in points], "o-", color=colour, label=step, markersize=4)
    slowest = max(points[0].us.values()) / 1e3
    axes.plot(sizes, [slowest * size / sizes[0] for size in sizes], ":", color="#9d2a1f", linewidth=1, label="linear")
    held = ", ".join(f"{point.held_mib:.0f}" for point in points)
    axes.set(xscale="log", yscale="log", title=title, xlabel=f"memory held: {held} MiB", ylabel="ms")
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
