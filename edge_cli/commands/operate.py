"""`edge policy`, `edge revoke`, `edge purge`, `edge keys`: what operators change, under their own SVID."""

import getpass
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Column, Table

from consent_core.formats.status import OUTBOX_LATE_S
from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, err, progress, show, when

ControlPlane = Annotated[str, typer.Option("--control-plane", help="The control plane's mesh listener.")]
DEFAULT_CONTROL_PLANE = "https://127.0.0.1:7443"
As = Annotated[str | None, typer.Option("--as", help="The operator's name in the SPIFFE id; else the user's.")]
Policies = Annotated[Path | None, typer.Option("--policies", help="Rego, tests and settings; else the shipped ones.")]
Legal = Annotated[Path | None, typer.Option("--legal", help="The folder with clauses/; else the shipped one.")]
Subject = Annotated[str, typer.Argument(help="A visitor's sub or subject, a key id, SPIFFE id, serial:…, or a model.")]
Category = Annotated[list[str] | None, typer.Option("--category", help="Of a session; all three by default.")]
Session = Annotated[str, typer.Option("--session", help="The visitor's sub, or subject as receipts name it.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for every POP's receipt.")]
Overlap = Annotated[int, typer.Option("--overlap", min=0, help="Seconds the old key's signatures stay good.")]
KeyId = Annotated[str, typer.Argument(help="The key's id, as edge keys list prints it.")]

policy = typer.Typer(help="The rules: test, publish, and see where they are in force.", no_args_is_help=True)
keys = typer.Typer(help="Signing keys: list, rotate, revoke.", no_args_is_help=True)


class Kind(StrEnum):
    """What is revoked."""

    session = "session"
    key = "key"
    model = "model"


class Role(StrEnum):
    """What a signing key is for."""

    token = "token"  # noqa: S105  a role, no secret
    component = "component"
    bundle = "bundle"
    log = "log"
    release = "release"
    ledger = "ledger"
    attestation = "attestation"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(policy, name="policy")
    app.command()(revoke)
    app.command()(purge)
    app.add_typer(keys, name="keys")


@policy.command("test")
def try_policy(policies: Policies = None, legal: Legal = None, as_json: JsonOption = False) -> None:
    """Run the policy's tests and print what it decides, with each rule and its source. Fails where publishing would.

    Example: [bold]edge policy test --policies policies[/bold]
    """
    from edge_cli.policies import tried

    with err.status("testing and evaluating …"):
        evaluation = tried(_sources(policies, legal))
    from consent_core.policy.report import evaluation_value, policy_table, rules_table

    show(evaluation_value(evaluation), as_json=as_json,
         text=lambda: Group(policy_table(evaluation.table), rules_table(evaluation.table)))  # fmt: skip


@policy.command("publish")
def publish_policy(
    policies: Policies = None,
    legal: Legal = None,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Test the policy, sign it with your approval, and put it in force at every POP.

    Example: [bold]edge policy publish --policies policies --as ann[/bold]
    """
    operator, sources = operator_of(data, name, control_plane), _sources(policies, legal)
    with err.status("testing, evaluating, signing …"):
        bundle = operator.publish(sources).bundle
    document = {"hash": bundle.hash, "revision": bundle.revision, "approver": bundle.approval.approver}
    show(document, as_json=as_json, text=lambda: f"revision {bundle.revision} is in force: {bundle.hash}")


@policy.command("status")
def policy_status(
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show each POP's policy, since when, how far it is in the log, and what it refused as untrusted.

    Example: [bold]edge policy status --json[/bold]
    """
    status = operator_of(data, name, control_plane).get("/v1/pops")
    show(status, as_json=as_json, text=lambda: _pops_table(status))


def revoke(
    subject: Subject,
    kind: Annotated[Kind, typer.Option("--kind", help="What is revoked.")] = Kind.session,
    categories: Category = None,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a visitor's consent, a signing key, a workload or a model. Repeating it adds nothing.

    Example: [bold]edge revoke --kind key spiffe://ui-tools/edge/tokyo-1[/bold]
    """
    from edge_cli.operator import person

    named = person(subject) if kind is Kind.session else {"kid" if kind is Kind.key else "model": subject}
    chosen = {"categories": sorted(set(categories))} if categories and kind is Kind.session else {}
    entry = operator_of(data, name, control_plane).post("/v1/revocations", {"kind": kind.value, **named, **chosen})
    show(entry, as_json=as_json, text=lambda: f"entry {entry['seq']}: {entry['effect']}")


def purge(
    session: Session,
    wait: Wait = 30.0,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Erase one visitor everywhere and collect a receipt from every POP. Exit 1 if one is still owed.

    Example: [bold]edge purge --session p7JxS0m3BqRk2v1T9aYcZg[/bold]
    """
    from edge_cli.operator import owed, person

    operator = operator_of(data, name, control_plane)
    entry = operator.post("/v1/revocations", {"kind": "purge", **person(session)})
    with progress("receipts", hidden=as_json) as seen:
        told = operator.receipts(entry["seq"], wait, seen)
    show(told, as_json=as_json, text=lambda: _receipts_table(told))
    if any(owed(told)):
        raise typer.Exit(FAILED)


@keys.command("list")
def list_keys(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List the keys that the trust file vouches for.

    Example: [bold]edge keys list[/bold]
    """
    from consent_core.trust.trust_file import TrustFile

    trusted = TrustFile.load(data / "trust.json").trusted_keys
    fields = ("role", "kid", "algorithm", "not_before", "not_after")
    rows = [{field: getattr(key, field) for field in fields} for key in trusted]
    show(rows, as_json=as_json, text=lambda: _keys_table(rows))


@keys.command("rotate")
def rotate_key(
    role: Annotated[Role, typer.Argument(help="What the key is for.")],
    overlap: Overlap = 600,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Sign with a new key from now on; what the old one signed stays good for the overlap.

    Example: [bold]edge keys rotate token --overlap 600[/bold]
    """
    made = operator_of(data, name, control_plane).post(f"/v1/keys/{role.value}/rotate", overlap_s=overlap)
    show(made, as_json=as_json, text=lambda: f"{made['role']}: signing with {made['kid']}")


@keys.command("revoke")
def revoke_key(
    kid: KeyId,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a signing key at every POP; if it is in use, a new one takes over first.

    Example: [bold]edge keys revoke token-0123456789abcdef[/bold]
    """
    entry = operator_of(data, name, control_plane).post("/v1/revocations", {"kind": "key", "kid": kid})
    show(entry, as_json=as_json, text=lambda: f"entry {entry['seq']}: {entry['effect']}")


def operator_of(data: Path, name: str | None, control_plane: str) -> Any:
    """The operator who calls, by the name given or the user's."""
    from edge_cli.operator import Operator

    return Operator(data, name or getpass.getuser(), control_plane, os.environ.get("SPIFFE_ENDPOINT_SOCKET"))


def _sources(policies: Path | None, legal: Path | None) -> Any:
    from consent_core.policy.sources import read_sources
    from consent_core.resources import resource

    return read_sources(policies or resource("policies"), legal or resource("legal"))


def _keys_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(Column("key id", no_wrap=True), "algorithm", "valid from", "until")
    for row in rows:
        table.add_row(row["kid"], row["algorithm"], when(row["not_before"] or None), when(row["not_after"]))
    return table


def _pops_table(status: dict[str, Any]) -> Group:
    table = Table("POP", "policy", "since", "behind", "oldest no", "untrusted")
    for pop in status["pops"]:
        mark = "[green]current[/]" if pop["current"] else f"[red]{(pop['policy_hash'] or 'none')[:19]}[/]"
        refused = ", ".join(f"{code} {count}" for code, count in sorted(pop["untrusted"].items()))
        table.add_row(pop["pop"], mark, when(pop["policy_since"]), str(pop["behind"]), _waits(pop), refused)
    return Group(f"in force: {status['policy_hash']}", table)


def _waits(pop: dict[str, Any]) -> str:
    """How long the oldest "no" said at a POP has waited to be forwarded; more than a minute is an alarm."""
    seconds = pop["outbox_oldest_s"]
    return "" if not seconds else f"[red]{seconds} s[/]" if seconds > OUTBOX_LATE_S else f"{seconds} s"


def _receipts_table(told: dict[str, Any]) -> Table:
    table = Table("POP", "receipt", "deleted", "ends by itself", title=f"Entry {told['seq']}")
    for pop in (*told["pops"], {"pop": "control plane", "receipt": told.get("control_plane")}):
        receipt = {"deleted": {}, "ends": {}, **(pop["receipt"] or {})}
        deleted = ", ".join(f"{part} {n}" for part, n in sorted(receipt["deleted"].items()))
        ends = ", ".join(f"{part} {date}" for part, date in sorted(receipt["ends"].items()))
        table.add_row(pop["pop"], "[red]owed[/]" if pop["receipt"] is None else when(receipt["at"]), deleted, ends)
    return table
