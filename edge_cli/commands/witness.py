"""`edge witness`: run a party that sees the ledger and cosigns what only grew."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, out, show

Name = Annotated[str, typer.Argument(help="The witness's name, such as w1.example; it is in every signature line.")]
Trust = Annotated[Path | None, typer.Option("--trust", help="The trust file; else the data directory's.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on.")]
Port = Annotated[int, typer.Option("--port", help="Where ledgers ask for cosignatures.")]

witness = typer.Typer(help="Cosign a ledger as a party of its own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(witness, name="witness")


@witness.command("run")
def run(
    name: Name,
    data: DataOption = DEFAULT_DATA,
    trust: Trust = None,
    host: Host = "127.0.0.1",
    port: Port = 7500,
    as_json: JsonOption = False,
) -> None:
    """Run a witness. Its key and what it saw lie in DATA/witnesses/NAME, which is never restored from a backup.

    Example: [bold]edge witness run w1.example --trust trust.json --port 7501[/bold]
    """
    from witness.process import WitnessSettings
    from witness.process import run as serve

    show({**_entry(name, data), "port": port}, as_json=as_json, text=lambda: None)
    serve(WitnessSettings(_directory(name, data), name, trust or data / "trust.json", host, port))


@witness.command("key")
def key(name: Name, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Make the witness's key if there is none, and print its entry for a trust file.

    Example: [bold]edge witness key w1.example[/bold]
    """
    entry = _entry(name, data)
    show(entry, as_json=as_json, text=lambda: out.print_json(data=entry))


def _entry(name: str, data: Path) -> dict[str, Any]:
    from consent_core.formats.token import encode_base64url
    from consent_core.trust.trust_file import WITNESS_ALGORITHM
    from witness.keys import WitnessKey

    known = WitnessKey.open(_directory(name, data), name, create=True)
    return {"name": name, "algorithm": WITNESS_ALGORITHM, "key": encode_base64url(known.public_key)}


def _directory(name: str, data: Path) -> Path:
    if name.startswith(".") or not name.replace(".", "").replace("-", "").isalnum():
        raise typer.BadParameter("letters, digits, dots and hyphens", param_hint="NAME")
    return data / "witnesses" / name
