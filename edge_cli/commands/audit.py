"""`edge audit`: check, open and re-wrap the trails of a data directory."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_cli.console import (
    DEFAULT_DATA,
    FAILED,
    KEYRING,
    DataOption,
    JsonOption,
    KeyProviderOption,
    KeyProviderToken,
    err,
    show,
)

NoKeys = Annotated[bool, typer.Option("--without-keys", help="Check order and chain alone; open nothing.")]
Writer = Annotated[str, typer.Argument(help="A POP's id, or control-plane.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="The last so many records.")]
Sub = Annotated[
    str | None, typer.Option("--sub", help="Only records that name this visitor: sub, or subject as receipts do.")
]

Event = Annotated[
    str,
    typer.Option("--event", help="grant, withdraw, revoke, …; poll: what machines ask; people: all but polls; all."),
]
Elsewhere = Annotated[
    list[str] | None,
    typer.Option("--elsewhere", help="A POP whose trail lies on another machine; may be repeated."),
]

audit = typer.Typer(help="The audit trail: verify, read, rotate its keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(audit, name="audit")


@audit.command("verify")
def verify(
    data: DataOption = DEFAULT_DATA,
    provider: KeyProviderOption = KEYRING,
    token: KeyProviderToken = None,
    without_keys: NoKeys = False,
    elsewhere: Elsewhere = None,
    as_json: JsonOption = False,
) -> None:
    """Check every trail: all records there, unaltered, in order, and as long as was reported. Exit 1 if not.

    A trail that POPs reported to the control plane and that is missing is a failure; [bold]--elsewhere[/bold] names
    those that lie on other machines.

    Example: [bold]edge audit verify --json[/bold]
    """
    from edge_cli.audit import check_trails, summary, summary_table

    with err.status("verifying …"):
        keys = None if without_keys else _provider(provider, data, token)
        reports = check_trails(data, keys, frozenset(elsewhere or ()))
    document = summary(reports)
    show(document, as_json=as_json, text=lambda: summary_table(reports))
    if not document["ok"]:
        raise typer.Exit(FAILED)


@audit.command("read")
def read(
    writer: Writer,
    limit: Limit = 50,
    sub: Sub = None,
    event: Event = "people",
    data: DataOption = DEFAULT_DATA,
    provider: KeyProviderOption = KEYRING,
    token: KeyProviderToken = None,
    as_json: JsonOption = False,
) -> None:
    """Open the last records of one trail: what people did, without the polls of machines.

    Example: [bold]edge audit read control-plane --event grant --limit 20[/bold]
    """
    from collections import deque

    from edge_cli.audit import read_trail, records_table
    from edge_cli.audit_events import NAMES

    if event not in NAMES:
        raise typer.BadParameter(f"expected one of {', '.join(NAMES)}", param_hint="--event")
    with err.status("reading …"):
        found = read_trail(data, writer, _provider(provider, data, token), sub, event)
        records = list(islice(deque(found, maxlen=limit), limit))
    show([asdict(record) for record in records], as_json=as_json, text=lambda: records_table(records))


@audit.command("rotate")
def rotate(
    data: DataOption = DEFAULT_DATA,
    provider: KeyProviderOption = KEYRING,
    token: KeyProviderToken = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new wrapping key and wrap every trail's data keys under it, while the writers run.

    Example: [bold]edge audit rotate[/bold]
    """
    from edge_cli.audit import rotate_trails

    with err.status("wrapping anew …"):
        done = [asdict(report) for report in rotate_trails(data, _provider(provider, data, token))]
    told = "\n".join(f"{report['directory']}: {report['segments']} keys wrapped anew" for report in done)
    show(done, as_json=as_json, text=lambda: told)


def _provider(line: str, data: Path, token: str | None) -> Any:
    from consent_core.trust.providers.selection import open_provider

    try:
        return open_provider(line, data, token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
