"""`edge story`: the whole story on a real local system, seconds per step."""

import getpass
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from edge_cli.console import FAILED, JsonOption, err, show

if TYPE_CHECKING:
    from edge_cli.story import Told

Out = Annotated[Path, typer.Option("--out", help="A directory for the file, its page and what verifies it.")]
BEAT_S = 2  # of the ledger, and between two attestations
WITNESSES = ("w1", "w2", "w3")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(story)


def story(out: Out = Path("story"), as_json: JsonOption = False) -> None:
    """Play consent from the yes to the proof of deletion: two POPs, a control plane, three witnesses, one person.

    Example: [bold]edge story --out story[/bold]
    """
    from edge_cli.story import tell
    from fleet.processes import Fleet, fleet_of
    from fleet.project import DEMO, prepare

    with tempfile.TemporaryDirectory(prefix="consent-edge-story-") as place, err.status("building …") as status:
        stage = prepare(Path(place), Path("build/components"), err)
        specs = fleet_of(2, 0, options=("--attest-every", str(BEAT_S)))
        beat = ("--ledger-beat", str(BEAT_S))
        with Fleet(
            stage.data, specs, site=DEMO.site, components=stage.components, plane_options=beat, witnesses=WITNESSES,
            on_progress=lambda name: status.update(f"starting {name} …"),
        ) as fleet:  # fmt: skip
            told = tell(fleet, getpass.getuser(), out, lambda step: status.update(f"{step} …"))
    show(told.value(), as_json=as_json, text=lambda: _table(told))
    if not told.verdict.answered:
        raise typer.Exit(FAILED)


def _table(told: "Told") -> Table:
    table = Table(Column("step", no_wrap=True), Column("s", justify="right"), "", box=None)
    for step in told.steps:
        table.add_row(step.name, f"{step.seconds:.1f}", step.said)
    table.add_row(
        "[bold]all[/]", f"[bold]{told.total_s:.1f}[/]", f"{told.pack.parent}: pack.html, pack.json, trust.json"
    )
    return table
