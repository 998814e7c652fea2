"""`edge build`: functions to signed components."""

from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, err, show

Names = Annotated[list[str] | None, typer.Argument(help="Functions to build; all of them by default.")]
Diff = Annotated[str | None, typer.Option("--diff", metavar="REV", help="Compare with this git revision, built too.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds functions/.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(build)


def build(
    names: Names = None,
    diff: Diff = None,
    data: DataOption = DEFAULT_DATA,
    root: Root = Path(),
    as_json: JsonOption = False,
) -> None:
    """Compile functions to signed WASI components. What has not changed comes from the cache.

    With --diff: what functions may import, use and weigh now, against REV. What grows is marked.

    Example: [bold]edge build personalization[/bold] or [bold]edge build --diff main[/bold]
    """
    from builder import build as build_functions
    from builder.diff import commit_of, comparable, compare
    from builder.report import differences_table, refusals, results_json, results_table, show_progress
    from consent_core.trust.keys import KeyStore

    if diff:
        commit_of(root, diff)  # what is no revision is said before anything is built
    store = KeyStore.open(data, create=True)
    with show_progress(err) as progress:
        results = build_functions(
            names or (comparable(root) if diff else ()),
            root=root,
            signer=store.current("component"),
            trust=store.trust_file(),
            progress=progress,
        )
        if diff:
            differences = compare(
                results, diff, root=root, trust=store.trust_file(), names=names or (), progress=progress
            )
    if diff:
        document = [difference.to_json() for difference in differences]
        show(document, as_json=as_json, text=lambda: differences_table(differences, diff))
        return
    for line in refusals(results):
        err.print(line, highlight=False)
    show(results_json(results), as_json=as_json, text=lambda: results_table(results))
