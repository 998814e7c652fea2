"""`edge ledger`: read the public ledger as an outsider, watch it, and make a lost one again."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, err, out, show, when

From = Annotated[
    str | None,
    typer.Option("--from", help="http://… of a control plane, or a directory; else the data directory's own files."),
]
Trust = Annotated[Path | None, typer.Option("--trust", help="The trust file; else the data directory's.")]
ProofFile = Annotated[Path | None, typer.Option("--proof", help="Check this proof alone, offline.")]
Since = Annotated[Path | None, typer.Option("--since", help="A checkpoint seen before, which it must have grown from.")]
Leaf = Annotated[str, typer.Argument(help="A leaf's commitment: 64 hex digits, or `c` as the leaf has it.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the proof here instead of printing it.")]
State = Annotated[
    Path, typer.Option("--state", help="What the last look saw; kept by the watcher, not by the operator.")
]
Url = Annotated[
    str | None,
    typer.Option("--ledger-url", help="postgresql://… where the ledger is there.", envvar="EDGE_PLANE_LEDGER_URL"),
]
Every = Annotated[float, typer.Option("--every", min=1.0, help="Seconds between two looks.")]
Once = Annotated[bool, typer.Option("--once", help="Look once.")]

ledger = typer.Typer(help="The public ledger: verify, prove, watch, status, restore.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(ledger, name="ledger")


@ledger.command("verify")
def verify(
    place: From = None,
    trust: Trust = None,
    proof: ProofFile = None,
    since: Since = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Recompute every leaf, every tile and the root, and check who signed. Exit 1 if anything is amiss.

    Example: [bold]edge ledger verify --from https://shop.example --trust trust.json[/bold]
    """
    from edge_cli.ledger import verdict_of_ledger, verdict_of_proof

    with err.status("verifying …"):
        if proof is not None:
            told = verdict_of_proof(proof.read_bytes(), _trust(trust, data))
        else:
            told = verdict_of_ledger(_place(place, data), _trust(trust, data), since)
    show(told, as_json=as_json, text=lambda: _drawn(told))


@ledger.command("prove")
def prove(
    leaf: Leaf,
    place: From = None,
    trust: Trust = None,
    to: Out = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Make the proof that one leaf is in the ledger; the whole ledger is read, so the server does not learn which leaf.

    Example: [bold]edge ledger prove 5yQ… --out leaf.tlog-proof[/bold]
    """
    from edge_cli.ledger import proof_of

    with err.status("reading …"):
        text, index = proof_of(leaf, _place(place, data), _trust(trust, data))
    if to is not None:
        to.write_bytes(text)
    told = {"index": index, "proof": text.decode()}
    show(told, as_json=as_json, text=lambda: None if to is not None else out.out(text.decode(), end=""))


@ledger.command("watch")
def watch(
    state: State,
    place: From = None,
    trust: Trust = None,
    every: Every = 30.0,
    once: Once = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Look again and again: it must only grow, its list must not shrink, no place may speak twice. Exit 1 at a finding.

    Example: [bold]edge ledger watch --from https://shop.example --trust trust.json --state seen.json[/bold]
    """
    import time

    from edge_cli.ledger import look_again

    def look() -> bool:
        told = look_again(_place(place, data), _trust(trust, data), state)
        show(told, as_json=as_json, text=lambda: _looked(told))
        return not told["findings"]

    while look():
        if once:
            return
        time.sleep(every)
    raise typer.Exit(FAILED)


@ledger.command("status")
def status(data: DataOption = DEFAULT_DATA, url: Url = None, as_json: JsonOption = False) -> None:
    """How far the sequencer of this data directory is, who cosigned last and when, and what was found.

    Example: [bold]edge ledger status --json[/bold]
    """
    from edge_cli.ledger import status_of

    told = status_of(data, url)
    show(told, as_json=as_json, text=lambda: _drawn(told))


@ledger.command("restore")
def restore(
    place: Annotated[str, typer.Option("--from", help="An archive or copy: a directory, or http://….")],
    trust: Trust = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Make the ledger's database again from published files, as far as a cosigned checkpoint says. Stop the control
    plane first; the old database stays under another name.

    Example: [bold]edge ledger restore --from /mnt/archive[/bold]
    """
    from edge_cli.ledger import restored_from

    with err.status("restoring …"):
        told = restored_from(place, _trust(trust, data), data)
    show(told, as_json=as_json, text=lambda: _drawn(told))


def _trust(trust: Path | None, data: Path) -> Path:
    return trust or data / "trust.json"


def _place(place: str | None, data: Path) -> str:
    return place or str(data / "control-plane" / "ledger" / "public")


def _looked(told: dict[str, Any]) -> str:
    findings = "; ".join(f"[red]{finding['code']}[/] {finding['detail']}" for finding in told["findings"])
    return f"{when(told['witness_time'])}  {told['size']} leaves  {findings or '[green]only grew[/]'}"


def _drawn(told: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in told.items():
        shown = "\n".join(str(item) for item in value) if isinstance(value, list) else str(value)
        table.add_row(name.replace("_", " "), shown)
    return table
