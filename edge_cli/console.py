"""How every command speaks: tables and progress for people, one JSON document for programs, errors with a code."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from consent_core.errors import ConsentEdgeError
from consent_core.http.asgi import error_value

out = Console()
err = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
DataOption = Annotated[Path, typer.Option("--data", help="Where state is kept.", envvar="CONSENT_EDGE_DATA")]
KeyProviderOption = Annotated[
    str,
    typer.Option("--key-provider", help="keyring, openbao+https://host:port/key, aws-kms:key, or a plug-in's line."),
]
KeyProviderToken = Annotated[
    str | None,
    typer.Option("--key-provider-token", help="For OpenBao.", envvar="CONSENT_EDGE_KEY_PROVIDER_TOKEN"),
]


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"consent-edge {metadata.version('consent-edge')}")
        raise typer.Exit


def versioned(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What both command lines take before a command."""


DEFAULT_DATA = Path(".edge")
KEYRING = "keyring"

FAILED = 1


def show(document: Any, *, as_json: bool, text: Callable[[], Any]) -> None:
    """Print `document` as JSON, or what `text` makes of it."""
    if as_json:
        print(json.dumps(document, indent=1, default=str))
        return
    made = text()
    if made is not None:
        out.print(made)


def when(seconds: int | None) -> str:
    """Unix seconds for people, in UTC; nothing for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def show_error(error: ConsentEdgeError) -> None:
    """The code and what it means, on standard error; as JSON where JSON was asked for."""
    if "--json" in sys.argv:
        print(json.dumps(error_value(error)))
    err.print(f"[bold red]{error.code}[/]: {error.message}", highlight=False)


@contextmanager
def progress(title: str, *, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error. Yields the function to tell it (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=hidden or not err.is_terminal) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
