"""`edge visitor show`: what a person chose and when, for who must answer them."""

from typing import Annotated, Any

import typer
from rich.table import Table

from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, show, when

Sub = Annotated[str, typer.Argument(help="The visitor's sub, or subject as receipts name it.")]

visitor = typer.Typer(help="One visitor's history, for who must answer them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(visitor, name="visitor")


@visitor.command("show")
def show_visitor(
    sub: Sub,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Every version of a visitor's record: choices, rules, policy, notice, and its receipt again. The look is audited.

    Example: [bold]edge visitor show p7JxS0m3BqRk2v1T9aYcZg --json[/bold]
    """
    from edge_cli.operator import person
    from edge_cli.operator import subject_of as named

    told = operator_of(data, name, control_plane).get(f"/v1/visitors/{named(person(sub))}")
    show(told, as_json=as_json, text=lambda: _table(told))


def _table(told: dict[str, Any]) -> Table:
    table = Table("version", "at", "how", "law", "chosen", "effective", "rules", title=f"Visitor {told['sub']}")
    for version in told["versions"]:
        rules = "\n".join(f"{category}: {reason}" for category, reason in sorted(version["reasons"].items()))
        chosen, effective = ", ".join(version["choices"]), ", ".join(version["effective"])
        row = (str(version["ver"]), when(version["at"]), version["source"], version["jurisdiction"])
        table.add_row(*row, chosen or "nothing", effective or "nothing", rules)
    return table
