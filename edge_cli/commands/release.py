"""`edge release`: signed model releases: bake, list, verify offline, roll forward to older weights."""

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, show, when

Component = Annotated[Path, typer.Option("--component", help="The built component that serves as template.")]
Approver = Annotated[str | None, typer.Option("--as", help="Who approves; the user's name if it is not said.")]
BUILT = Path("build/components/personalization")

release = typer.Typer(help="Signed model releases: list, verify, publish, revert.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(release, name="release")


@release.command("list")
def list_releases(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Show every release by epoch: what it follows, who approved it.

    Example: [bold]edge release list[/bold]
    """
    from edge_cli.releasing import releases_of, shown

    rows = [shown(one) for one in releases_of(data).all()]
    show(rows, as_json=as_json, text=lambda: _table(rows))


@release.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="A release's folder.")],
    template: Annotated[Path | None, typer.Option(help="Another component of its template to bake it from.")] = None,
    highest: Annotated[int, typer.Option(min=0, help="Refuse an epoch that is not above this one.")] = 0,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Bake a release again, offline, and compare every byte with what was signed.

    Example: [bold]edge release verify .edge/control-plane/releases/model-v20270118.1[/bold]
    """
    from edge_cli.releasing import shown, verified

    row = shown(verified(data, folder, template, highest))
    show(row, as_json=as_json, text=lambda: f"{row['release']}, epoch {row['epoch']}: the same bytes")


@release.command("publish")
def publish(
    weights: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Signed bytes: behavioral, contextual. Without: what was learnt."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", help="postgresql://…; else SQLite under --data.")
    ] = None,
    component: Component = BUILT,
    approver: Approver = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Bake what places taught, or the weights of a file, into a built component and sign it as the next release.

    Example: [bold]edge release publish[/bold]
    """
    from edge_cli import releasing

    name = approver or getpass.getuser()
    if weights is None:
        made = releasing.learned(data, component, name, database)
    else:
        made = releasing.publish(data, component, weights, name)
    row = releasing.shown(made)
    show(row, as_json=as_json, text=lambda: f"{row['release']}, epoch {row['epoch']}")


@release.command("revert")
def revert(
    to: Annotated[str, typer.Argument(help="The release whose weights are to serve again.")],
    component: Component = BUILT,
    approver: Approver = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Publish an older release's weights under a new epoch: a rollback that goes forward.

    Example: [bold]edge release revert model-v20270111.1[/bold]
    """
    from edge_cli import releasing

    row = releasing.shown(releasing.revert(data, component, to, approver or getpass.getuser()))
    show(row, as_json=as_json, text=lambda: f"{row['release']}, epoch {row['epoch']}, weights of {to}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(Column("release", no_wrap=True), "epoch", "why", "follows", "approved by", "until")
    for row in rows:
        names = (row["release"], str(row["epoch"]), row["reason"], ", ".join(row["parents"]))
        table.add_row(*names, row["approver"], when(row["expires"]))
    return table
