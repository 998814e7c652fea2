"""`edge attest`: who attests, and whether every place has done so without a gap."""

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, show, when

Place = Annotated[str, typer.Argument(help="Role and name, such as edge/tokyo-1.")]

attest = typer.Typer(help="Attestations of POPs and devices: list, verify.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(attest, name="attest")


@attest.command("list")
def list_places(
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show every place that must attest: its newest attestation, how far it has applied the log, what is missing.

    Example: [bold]edge attest list[/bold]
    """
    told = operator_of(data, name, control_plane).get("/v1/attesters")
    show(told, as_json=as_json, text=lambda: _table(told))


@attest.command("retire")
def retire(
    place: Place,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Take a place off the public list for good, after it has attested its stop.

    Example: [bold]edge attest retire edge/tokyo-1[/bold]
    """
    told = operator_of(data, name, control_plane).post("/v1/attesters/retired", {"place": place})
    show(told, as_json=as_json, text=lambda: f"{place} is not on list {told['list']}")


@attest.command("verify")
def verify(
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 if a number is missing, a place is late, its key is refused, or somebody told two stories.

    Example: [bold]edge attest verify --json[/bold]
    """
    told = operator_of(data, name, control_plane).get("/v1/attesters")
    problems = problems_of(told)
    document = {"ok": not problems, "problems": problems}
    show(document, as_json=as_json, text=lambda: "\n".join(problems) or "every place attests without a gap")
    if problems:
        raise typer.Exit(FAILED)


def problems_of(told: dict[str, Any]) -> list[str]:
    """What an operator must look at."""
    problems = [f"{fork['name']}: a second story, {fork['digest']}" for fork in told["forks"]]
    for place in told["places"]:
        if place["missing"]:
            problems.append(f"{place['place']}: {place['missing']} numbers are missing")
        if place["late"]:
            problems.append(f"{place['place']}: nothing since {when(place['at']) or 'ever'}")
        problems += [f"{place['place']}: {key['kid']} is refused" for key in place["keys"] if key["refused"]]
    return problems


def _table(told: dict[str, Any]) -> Table:
    table = Table(
        Column("place"), "life", "number", "missing", "log", "attested (UTC)", "", title=f"List {told['list']}"
    )
    for place in told["places"]:
        state = "[red]late[/]" if place["late"] else "[green]in time[/]"
        numbers = (place["life"], place["n"], place["missing"], place["position"] or 0)
        table.add_row(place["place"], *map(str, numbers), when(place["at"]), state)
    return table
