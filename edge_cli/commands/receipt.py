"""`edge receipt`: is this what we signed, and what does it say?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Column, Table

from consent_core.errors import Untrusted
from consent_core.formats.receipt import Receipt
from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, show, when

File = Annotated[
    typer.FileText,
    typer.Argument(help="The receipt, or the answer of /v1/consent that holds it; - for standard input."),
]
Trust = Annotated[Path | None, typer.Option("--trust", help="The trust file; else the data directory's.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(receipt)


def receipt(file: File, trust: Trust = None, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Verify a consent receipt by the trust file alone, and print what it says. Exit 1 if it is not genuine.

    Example: [bold]edge receipt receipt.jwt --trust trust.json[/bold]
    """
    from consent_core.formats.receipt import open_receipt
    from consent_core.trust.trust_file import NO_LOG, TrustFile

    genuine = open_receipt(receipt_in(file.read()), TrustFile.load(trust or data / "trust.json"), NO_LOG)
    show(asdict(genuine), as_json=as_json, text=lambda: _drawn(genuine))


def receipt_in(text: str) -> str:
    """The JWS itself, whether it came alone or as `receipt` of an answer. Raises: Untrusted("receipt-malformed")."""
    if not text.lstrip().startswith("{"):
        return text.strip()
    try:
        found = json.loads(text).get("receipt")
    except (ValueError, RecursionError) as error:
        raise Untrusted("receipt-malformed", "neither a compact JWS nor JSON") from error
    if not isinstance(found, str):
        raise Untrusted("receipt-malformed", "this answer holds no receipt")
    return found


def _drawn(receipt: Receipt) -> Group:
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("person", receipt.pii_principal_id),
        ("record", f"{receipt.record_id}, version {receipt.ver}"),
        ("law", f"{receipt.jurisdiction}, at {receipt.region}"),
        ("notice", " ".join(receipt.privacy_notice.values()) or "none was shown"),
        ("policy", receipt.policy_hash),
        *(("said", f"{e['event_type']}: {e['event_state']}, {when(int(e['event_time']))} UTC") for e in receipt.events),
    ):
        facts.add_row(name, value)
    purposes = Table(Column("purpose", no_wrap=True), "choice", "in effect", "rule", "kept")
    for purpose in receipt.purposes:
        effect = "[green]yes[/]" if purpose.effective else "no"
        days = f"{purpose.retention_period_s / 86_400:g} days"
        purposes.add_row(purpose.purpose, purpose.state, effect, purpose.reason, days)
    return Group("[green]genuine[/]", facts, purposes)
