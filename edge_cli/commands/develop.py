"""`edge new`, `edge dev`, `edge invoke`: writing a function."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, out, show

TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "project"

Folder = Annotated[Path, typer.Argument(help="A folder to make; its name becomes the function's.")]
Name = Annotated[str, typer.Argument(help="The function, as in functions/NAME.")]
AnyName = Annotated[str | None, typer.Argument(help="The function; the only one here by default.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds functions/ and catalogue.toml.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="Of the page, on 127.0.0.1; 0: any free one.")]
RequestFile = Annotated[Path, typer.Option("--request", help="One request as JSON.", exists=True, dir_okay=False)]
Native = Annotated[bool, typer.Option("--native", help="The Python itself, in this process; no build needed.")]
Components = Annotated[Path | None, typer.Option("--components", help="Built and signed components.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(new)
    app.command()(dev)
    app.command()(invoke)


def new(folder: Folder, as_json: JsonOption = False) -> None:
    """Make a project: a function, its tests, a catalogue with pictures, a page.

    Example: [bold]edge new hello && cd hello && edge dev[/bold]
    """
    from dev_server.new import make_project

    written = make_project(TEMPLATE, folder)
    show([str(path) for path in written], as_json=as_json, text=lambda: _next_steps(folder, written))


def dev(
    name: AnyName = None,
    root: Root = Path(),
    data: DataOption = DEFAULT_DATA,
    port: Port = 8090,
    as_json: JsonOption = False,
) -> None:
    """Show what a function decides, beside the picture, and again at every save. Builds the component meanwhile.

    Example: [bold]edge dev hello --port 8090[/bold]
    """
    from dev_server.server import run

    run(root, name, data, port, _tell_json if as_json else _tell)


def invoke(
    name: Name,
    request: RequestFile,
    native: Native = False,
    root: Root = Path(),
    data: DataOption = DEFAULT_DATA,
    components: Components = None,
    as_json: JsonOption = False,
) -> None:
    """Run one request from a JSON file: as the signed component in a fresh sandbox, or natively.

    Example: [bold]edge invoke hello --request requests/forest.json --native[/bold]
    """
    from dev_server.once import invoke_once

    done = invoke_once(name, request, root, None if native else components or root / "build" / "components", data)
    show(done.to_json(), as_json=as_json, text=lambda: out.print_json(data=done.to_json()))
    if done.code is not None:
        raise typer.Exit(FAILED)


def _next_steps(folder: Path, written: list[Path]) -> str:
    return f"{len(written)} files in [bold]{folder}[/]. Next:\n\n  cd {folder}\n  edge dev"


def _tell_json(event: Mapping[str, Any]) -> None:
    print(json.dumps(event, default=str), flush=True)


def _tell(event: Mapping[str, Any]) -> None:
    """One line per event that a person cares about."""
    out.print(_LINES.get(str(event["event"]), _other)(event), highlight=False, soft_wrap=True)


def _other(event: Mapping[str, Any]) -> str:
    return f"[dim]{event['event']}[/]"


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "ready": lambda e: f"[bold]{e['url']}[/]   ready after {e['seconds']} s; Ctrl-C ends it",
    "reload": lambda e: f"reloaded in {e['reload_ms']} ms   {e['digest'][7:19]}",
    "fault": lambda e: f"[red]{e['fault']['code']}[/] {e['fault']['message']}\n{e['fault']['detail']}",
    "lint": lambda e: "[yellow]a sandbox does not have this:[/]\n" + "\n".join(e["lint"]),
    "built": lambda e: f"component {e['build_message']}",
    "build-failed": lambda e: f"[red]component not built[/]\n{e['build_message']}",
    "compared": lambda e: f"{e['compared']} requests compared, {len(e['differences'])} decided differently",
    "difference": lambda e: (
        f"[bold red]native and component differ[/] {json.dumps(e['request']['signals'])}\n"
        f"  native     {json.dumps(e['native'])}\n  component  {json.dumps(e['component'])}"
    ),
}
