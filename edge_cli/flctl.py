"""`flctl`: learning across places: send a week, see the weeks, see what the promise is and what is left of it."""

import sys
from pathlib import Path
from typing import Annotated, Any

import stamina.instrumentation
import typer
from rich.table import Column, Table

from consent_core.errors import ConsentEdgeError
from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, show, show_error, versioned

PLANNED = ("1", "2", "5", "8")  # epsilons that `budget --plan` compares

app = typer.Typer(
    help="Learning across places, with a promise that holds (docs/privacy.md).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.callback()(versioned)


def main() -> None:
    """Run a command. Exit code 0: ok; 1: refused or failed; 2: usage."""
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        app()
    except ConsentEdgeError as error:
        show_error(error)
        sys.exit(FAILED)


@app.command()
def submit(
    model_id: Annotated[str, typer.Option(help="A model that the update must hold.")],
    weights: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A finished week of that place.")],
    epsilon: Annotated[float, typer.Option(help="What the update must promise; else budget-mismatch.")],
    delta: Annotated[float, typer.Option(help="The same of delta.")],
    spiffe_id: Annotated[str, typer.Option(help="The place, under whose SVID it is sent.")],
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    as_json: JsonOption = False,
) -> None:
    """Send a place's measurement of one week and show the verdict.

    Example: [bold]flctl submit --model-id contextual --weights tmp/weights.bin --epsilon 5 --delta 1e-5
    --spiffe-id spiffe://ui-tools/edge/tokyo-1[/bold]
    """
    from consent_core.formats.update import read_update
    from consent_core.trust.spiffe import SpiffeId
    from edge_cli import submitting

    body = weights.read_bytes()
    submitting.require_asserted(read_update(body).update, model_id, epsilon, delta, spiffe_id)
    told = submitting.submit(data, SpiffeId.parse(spiffe_id), body, control_plane)
    show(told, as_json=as_json, text=lambda: f"{told['verdict']}: {told['week']}, {told['update']}")


@app.command()
def status(
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show every week: its state, which places have sent, which are missing, second stories.

    Example: [bold]flctl status[/bold]
    """
    told = operator_of(data, name, control_plane).get("/v1/rounds")
    show(told, as_json=as_json, text=lambda: _rounds(told))


@app.command()
def budget(
    pop: Annotated[str | None, typer.Option(help="Also what this place has spent, asked of the control plane.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Compare epsilons instead: the noise that each needs.")] = False,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the policy promises for each span of time, and what a place has spent of it.

    Example: [bold]flctl budget --plan[/bold]
    """
    from edge_cli import budgets

    if plan:
        rows = budgets.compared(PLANNED)
        return show(rows, as_json=as_json, text=lambda: _table("epsilon of five weeks, and what it needs", rows))
    told: dict[str, Any] = {"promise": budgets.promised()}
    if pop is not None:
        told["spent"] = operator_of(data, name, control_plane).get("/v1/rounds")["budget"].get(pop, [])
    return show(told, as_json=as_json, text=lambda: _spent(told))


def _rounds(told: dict[str, Any]) -> Table:
    table = Table(Column("week", no_wrap=True), "state", "sent", "missing", "second stories")
    for row in told["rounds"]:
        names = (", ".join(row[key]) for key in ("accepted", "missing", "conflicts"))
        table.add_row(row["week"], row["state"], *names)
    return table


def _spent(told: dict[str, Any]) -> Table:
    lines = told.get("spent", [])
    title = "what the policy promises" + (f"; spent: {', '.join(line['week'] for line in lines)}" if lines else "")
    return _table(title, told["promise"])


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
