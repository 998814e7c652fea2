"""`edge bench`: measure against budgets."""

from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import FAILED, JsonOption, err, out


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(bench)


Suite = Annotated[
    str | None,
    typer.Option(
        "--suite", help="vitals, micro, soak, hosts, workers, kills, hostile, replay or curves; all by default."
    ),
]
Gate = Annotated[bool, typer.Option("--gate", help="Exit 1 unless every row is within its budget.")]
SelfTest = Annotated[bool, typer.Option("--self-test", help="Inject faults; exit 0 only if each turns the gate red.")]
Url = Annotated[str | None, typer.Option("--url", help="Measure this page instead of the demo shop.")]
Click = Annotated[str | None, typer.Option("--click", help="With --url: what to click, as a CSS selector; else body.")]
ProfileName = Annotated[str | None, typer.Option("--profile", help="Throttling, by name.")]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=1,
        help="Page loads per arm; of hosts, workers and hostile, seconds per load; of kills and replay, how many.",
    ),
]
Base = Annotated[Path | None, typer.Option("--base", help="An earlier vitals.json to compare with.")]
Report = Annotated[Path, typer.Option("--report", help="Where the reports go.")]


def bench(
    suite: Suite = None,
    gate: Gate = False,
    self_test: SelfTest = False,
    url: Url = None,
    click: Click = None,
    profile: ProfileName = None,
    rounds: Rounds = None,
    base: Base = None,
    report: Report = Path("build/bench"),
    as_json: JsonOption = False,
) -> None:
    """Measure pages (vitals), calls (micro), memory (soak), other hosts (hosts), workers, kills; compare with budgets.

    Example: [bold]edge bench --suite vitals --gate --url https://127.0.0.1:8443/[/bold]
    """
    from latency_gate.suites import Options, run_suites

    options = Options(suite, url, profile, rounds, base, report, self_test=self_test, click=click)
    green = run_suites(options, out=err if as_json else out, as_json=as_json)
    if (gate or self_test) and not green:
        raise typer.Exit(FAILED)
