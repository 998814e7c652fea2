"""What a person sees of a build: a line per function while it runs, a table when it is done.

with show_progress(console) as progress:
    results = build(names, root=root, signer=signer, progress=progress)
console.print(results_table(results))
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from builder.diff import Difference
from builder.pipeline import STAGES, BuildResult
from builder.pipeline import Progress as OnStage

MIB = 1024 * 1024


@contextmanager
def show_progress(console: Console) -> Iterator[OnStage]:
    """A bar per function. Use as `build(progress=…)`."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[stage]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, Any] = {}

        def on_stage(name: str, stage: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=len(STAGES) - 1, stage=stage)
            bars.update(tasks[name], completed=STAGES.index(stage), stage=stage)

        yield on_stage


def results_table(results: Sequence[BuildResult]) -> Table:
    """Name, sizes, imports, digest and time of each component; whole in a terminal of 80 columns."""
    table = Table(title="components", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("function", "size", "native", "imports", "digest", "time"):
        right, folds = heading in ("size", "native", "time"), heading == "imports"
        table.add_column(heading, justify="right" if right else "left", no_wrap=not folds, overflow="fold")
    for result in results:
        table.add_row(
            result.name,
            f"{result.size / MIB:.1f} MiB",
            f"{result.compiled_size / MIB:.1f} MiB",
            ", ".join(result.manifest.imports) or "none",
            result.manifest.component.removeprefix("sha256:")[:12],
            "cached" if result.cached else f"{result.seconds:.1f} s",
        )
    return table


def differences_table(differences: Sequence[Difference], revision: str) -> Table:
    """A row per change; what lets a function do or use more is marked, and stands first."""
    table = Table(title=f"functions against {revision}", title_justify="left")
    for heading in ("function", "what", f"at {revision}", "now"):
        table.add_column(heading, overflow="fold")
    for difference in differences:
        table.add_section()
        if not difference.changes:
            table.add_row(difference.name, f"[dim]{difference.status}[/]")
        name = f"{difference.name}" + ("" if difference.status == "changed" else f" [bold]({difference.status})[/]")
        for change in sorted(difference.changes, key=lambda change: not change.wider):
            mark = "[bold red]" if change.wider else ""
            table.add_row(name, change.what, change.before or "–", f"{mark}{change.after or '–'}")
            name = ""
    return table


def refusals(results: Sequence[BuildResult]) -> tuple[str, ...]:
    """A line for each finishing step that was left out, so that its reader sees why an instance is slow."""
    return tuple(
        f"{result.name}: built without the step {step}: {why}"
        for result in results
        for step, why in result.refused.items()
    )


def results_json(results: Sequence[BuildResult]) -> list[Mapping[str, Any]]:
    """The same for machines: sizes in bytes, times in seconds, full digests."""
    return [
        {
            "name": result.name,
            "directory": str(result.directory),
            "world": result.manifest.world,
            "component": result.manifest.component,
            "compiled": result.manifest.compiled,
            "imports": list(result.manifest.imports),
            "exports": list(result.manifest.exports),
            "size": result.size,
            "compiled_size": result.compiled_size,
            "seconds": round(result.seconds, 3),
            "cached": result.cached,
            "steps": list(result.manifest.steps),
            "refused": dict(result.refused),
        }
        for result in results
    ]
