"""`edge evidence`: check a file about one person, offline, and say what it shows and what it cannot."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from consent_core.clock import SystemClock
from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, show, when

if TYPE_CHECKING:
    from consent_core.evidence.verdict import Verdict

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The evidence file.")]
Trust = Annotated[Path | None, typer.Option("--trust", help="The trust file; else the data directory's.")]
Receipt = Annotated[
    Path | None, typer.Option("--receipt", exists=True, help="Your own newest receipt: is the file about you?")
]
Closing = Annotated[
    Path | None, typer.Option("--closing", exists=True, help="The closing statement: are the proofs gone?")
]
At = Annotated[int | None, typer.Option("--at", min=0, help="Judge as of this Unix time; else now.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write the page.")]
Mine = Annotated[bool, typer.Option("--mine", help="Say that the reader printed it, not the operator.")]
Subject = Annotated[str, typer.Option("--subject", help="The person as receipts name them: pii_principal_id.")]
COMPONENTS = Path("build/components")
STYLES = {"holds": "green", "fails": "bold red", "not shown": "yellow"}


Receipts = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, help="Answers of ?why=1, or what they hold as `why`; one a line."),
]
LedgerAt = Annotated[
    str | None, typer.Option("--ledger", help="http://… or a directory: is the place on the public list?")
]
ComponentsOf = Annotated[Path, typer.Option("--components", help="Where the signed components are, a folder each.")]


class Question(StrEnum):
    """What a file is to answer."""

    CONSENT = "consent"
    ENFORCEMENT = "enforcement"
    DELETION = "deletion"


evidence = typer.Typer(help="Evidence files: verify, show, print.", no_args_is_help=True)


Asked = Annotated[Question, typer.Option("--question", help="What the file is to answer.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(evidence, name="evidence")


@evidence.command("verify")
def verify(
    file: File,
    trust: Trust = None,
    receipt: Receipt = None,
    closing: Closing = None,
    at: At = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Run the eighteen checks, offline, with nothing but the trust file. Exit 1 unless the file answers its question.

    Example: [bold]edge evidence verify pack.json --trust trust.json --receipt receipt.jwt[/bold]
    """
    verdict = _judge(file, trust or data / "trust.json", receipt, closing, at)
    show(verdict.value(), as_json=as_json, text=lambda: _drawn(verdict))
    raise typer.Exit(verdict.exit_code)


@evidence.command("pack")
def pack(
    subject: Subject,
    out: Out,
    question: Asked = Question.ENFORCEMENT,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Have the control plane make the evidence file of one person, as an operator.

    Example: [bold]edge evidence pack --subject e9643f02… --out pack.json[/bold]
    """
    from consent_core.evidence.pack import read_pack

    made = operator_of(data, name, control_plane).post_for_bytes(
        "/v1/evidence", {"subject": subject, "question": question.value}
    )
    signed = read_pack(made)
    out.write_bytes(made)
    document = {
        "file": str(out),
        "sha256": signed.digest,
        "records": len(signed.pack.records),
        "open": signed.pack.open,
    }
    show(document, as_json=as_json, text=lambda: f"{out}: {len(signed.pack.records)} records, {signed.digest}")


@evidence.command("show")
def show_documents(
    file: File, trust: Trust = None, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """List the documents in a file, in the order of the ledger.

    Example: [bold]edge evidence show pack.json --trust trust.json[/bold]
    """
    verdict = _judge(file, trust or data / "trust.json")
    rows = [(d.index, d.at, d.witnessed, d.kind, d.said) for d in verdict.documents]
    names = ("leaf", "at", "witnessed", "kind", "said")
    show([dict(zip(names, row, strict=True)) for row in rows], as_json=as_json, text=lambda: _documents(verdict))


@evidence.command("html")
def html(
    file: File,
    out: Out,
    trust: Trust = None,
    receipt: Receipt = None,
    closing: Closing = None,
    at: At = None,
    mine: Mine = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Write the verdict as one page, without scripts and with nothing from elsewhere.

    Example: [bold]edge evidence html pack.json --trust trust.json --out pack.html[/bold]
    """
    from consent_core.evidence.page import page

    verdict = _judge(file, trust or data / "trust.json", receipt, closing, at)
    out.write_text(page(verdict, by_operator=not mine), encoding="utf-8")
    document = {"page": str(out), "pack": verdict.digest, "answered": verdict.answered}
    show(document, as_json=as_json, text=lambda: f"{out}: {verdict.digest}")
    raise typer.Exit(verdict.exit_code)


@evidence.command("replay")
def replay(
    files: Receipts,
    components: ComponentsOf = COMPONENTS,
    trust: Trust = None,
    ledger: LedgerAt = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Decide again from decision receipts, with the component of exactly that digest: the same bytes, or exit 1.

    Example: [bold]edge evidence replay why.json --components build/components --trust trust.json[/bold]
    """
    from consent_core.trust.trust_file import TrustFile
    from edge_cli.ledger import listed_in
    from edge_cli.replay import EQUAL, given_in, replay_all

    given = [one for file in files for one in given_in(file.read_bytes())]
    trusted = trust or data / "trust.json"
    listed = None if ledger is None else listed_in(ledger, trusted)
    replayed = replay_all(given, components, TrustFile.load(trusted), listed)
    document = [asdict(one) for one in replayed]
    show(document, as_json=as_json, text=lambda: _replayed(document))
    raise typer.Exit(0 if replayed and all(one.verdict == EQUAL for one in replayed) else 1)


def _replayed(document: list[dict[str, Any]]) -> Table:
    table = Table(Column("slot", no_wrap=True), "decided (UTC)", "component", Column("verdict", no_wrap=True), box=None)
    for one in document:
        style = STYLES["holds" if one["verdict"] == "equal" else "fails"]
        said = f"{one['verdict']}{': ' if one['code'] else ''}{one['code']}"
        table.add_row(one["slot"], when(one["at"] or None), one["component"][:19], Text(said, style=style))
    return table


def _judge(
    file: Path, trust: Path, receipt: Path | None = None, closing: Path | None = None, at: int | None = None
) -> "Verdict":
    from consent_core.errors import Unavailable
    from consent_core.evidence.opening import Circumstances
    from consent_core.evidence.verdict import judge
    from edge_cli.commands.receipt import receipt_in

    if not trust.is_file():
        raise Unavailable("trust-file-missing", f"no trust file {trust}")
    brought = Circumstances(
        at=SystemClock().now() if at is None else at,
        receipt=receipt_in(receipt.read_text(errors="replace")) if receipt else None,
        closing=closing.read_text(errors="replace").strip() if closing else None,
    )
    return judge(file.read_bytes(), trust.read_bytes(), brought)


def _drawn(verdict: "Verdict") -> Group:
    table = Table(
        Column("", justify="right"), Column("verdict", no_wrap=True), "what it says", box=None, padding=(0, 1)
    )
    for result in verdict.results:
        said = Text(result.sentence)
        for finding in result.findings:
            said.append(f"\n{finding.code}: {finding.message}", style="dim")
        table.add_row(f"{result.number}", Text(result.verdict, style=STYLES[result.verdict]), said)
    answer = "The file answers its question." if verdict.answered else "The file does not answer its question."
    style = STYLES["holds" if verdict.answered else "fails"]
    return Group(*map(Text, verdict.lines), Text(), table, Text(), Text(answer, style=style))


def _documents(verdict: "Verdict") -> Table:
    table = Table(Column("leaf", justify="right"), "dated (UTC)", "witnessed (UTC)", "kind", "says", box=None)
    for document in verdict.documents:
        times = (when(document.at or None), when(document.witnessed))
        table.add_row(f"{document.index}", *times, document.kind, document.said)
    return table
