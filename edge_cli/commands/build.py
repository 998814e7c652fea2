"""`edge build`: functions to signed components."""

from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, err, show

Names = Annotated[list[str] | None, typer.Argument(help="Functions to build; all of them by default.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds functions/.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(build)


def build(
    names: Names = None, data: DataOption = DEFAULT_DATA, root: Root = Path(), as_json: JsonOption = False
) -> None:
    """Compile functions to signed WASI components. What has not changed comes from the cache.

    Example: [bold]edge build personalization[/bold]
    """
    from builder import build as build_functions
    from builder.report import results_json, results_table, show_progress
    from consent_core.trust.keys import KeyStore

    store = KeyStore.open(data, create=True)
    with show_progress(err) as progress:
        results = build_functions(
            names or (), root=root, signer=store.current("component"), trust=store.trust_file(), progress=progress
        )
    show(results_json(results), as_json=as_json, text=lambda: results_table(results))
