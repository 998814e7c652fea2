"""`edge doctor`: what this machine lacks, and the command that brings it; with `--checklist`, the five promises."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, show

if TYPE_CHECKING:
    from edge_cli.checklist import Promise

Checklist = Annotated[bool, typer.Option("--checklist", help="The five promises of a running deployment, with proof.")]
AdminAt = Annotated[
    list[str] | None, typer.Option("--admin", help="A POP's admin listener, as http://host:port; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(doctor)


def doctor(
    checklist: Checklist = False,
    admin: AdminAt = None,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine lacks and how to get it; or what a deployment promises, each promise with its proof.

    Example: [bold]edge doctor --checklist --admin http://127.0.0.1:8881[/bold]
    """
    if checklist:
        from edge_cli.checklist import examine as ask
        from edge_cli.checklist import value

        promises = ask(operator_of(data, name, control_plane), admin or ())
        show(value(promises), as_json=as_json, text=lambda: _boxes(promises))
        if not all(promise.kept for promise in promises):
            raise typer.Exit(FAILED)
        return
    from edge_cli.checkup import examine, table

    findings = examine()
    show([finding.to_json() for finding in findings], as_json=as_json, text=lambda: table(findings))
    if any(finding.needed and not finding.present for finding in findings):
        raise typer.Exit(FAILED)


def _boxes(promises: "list[Promise]") -> Table:
    table = Table(Column("", no_wrap=True), "promise", "shown by", box=None)
    for promise in promises:
        table.add_row("[green]kept[/]" if promise.kept else "[bold red]missing[/]", promise.name, promise.shown_by)
    return table
