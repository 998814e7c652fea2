"""`edge catalogue check`: what a POP would say of a catalogue and its pictures, before it is given to one."""

from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import FAILED, JsonOption, show

rooms = typer.Typer(help="The catalogue: slots, assets and their pictures.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(rooms, name="catalogue")


@rooms.command("check")
def check(
    catalogue: Annotated[Path, typer.Argument(help="the catalogue's TOML file")],
    art: Annotated[Path, typer.Option("--art", help="the folder of its pictures")],
    as_json: JsonOption = False,
) -> None:
    """Decode every picture of a catalogue; name what a POP would leave out, and copy that no font here draws.

    Example: [bold]edge catalogue check demo/catalogue.toml --art build/art[/bold]
    """
    from runtime_host.pop.images.loading import load_catalogue

    loaded = load_catalogue(catalogue, art)
    odd = {asset: source.warning for asset, source in loaded.sources.items() if source.warning is not None}
    refused, undrawn = dict(loaded.refused), dict(loaded.undrawn)
    document = {"assets": len(loaded.sources), "refused": refused, "undrawn": undrawn, "odd": odd}
    lines = [f"[red]{asset}[/] is left out: {why}" for asset, why in loaded.refused.items()]
    lines += [f"[red]{asset}[/]: its copy is not drawn: {why}" for asset, why in undrawn.items()]
    lines += [f"[yellow]{asset}[/] is odd: {why}" for asset, why in odd.items()]
    show(document, as_json=as_json, text=lambda: "\n".join([*lines, f"{len(loaded.sources)} pictures are good"]))
    if refused or undrawn:
        raise typer.Exit(FAILED)
