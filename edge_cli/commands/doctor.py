"""`edge doctor`: what this machine lacks, and the command that brings it."""

import typer

from edge_cli.console import FAILED, JsonOption, show


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(doctor)


def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine lacks and how to get it.

    Example: [bold]edge doctor[/bold]
    """
    from edge_cli.checkup import examine, table

    findings = examine()
    show([finding.to_json() for finding in findings], as_json=as_json, text=lambda: table(findings))
    if any(finding.needed and not finding.present for finding in findings):
        raise typer.Exit(FAILED)
