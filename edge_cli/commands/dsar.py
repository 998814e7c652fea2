"""`edge dsar`: what people ask about their data, for the operators who answer for it."""

import base64
import json
import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Column, Table

from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, FAILED, DataOption, JsonOption, show, when

Id = Annotated[str, typer.Argument(help="The request's id, as edge dsar list prints it.")]
Secret = Annotated[
    str, typer.Option("--secret", help="The request's secret, shown once.", envvar="CONSENT_EDGE_REQUEST_SECRET")
]
Directory = Annotated[Path, typer.Option("--out", help="Where to write what was sealed.")]
Mark = {"done": "[green]done[/]", "open": "[yellow]open[/]"}
CODES = {"law": "the law", "guidance": "guidance", "ours": "our promise"}


class Kind(StrEnum):
    """What can be asked."""

    ACCESS = "access"
    DELETION = "deletion"
    OBJECTION = "objection"
    PORTABILITY = "portability"
    RECTIFICATION = "rectification"
    RESTRICTION = "restriction"


class Verified(StrEnum):
    """Who was verified by an operator."""

    GUARDIAN = "guardian"
    AGENT = "agent"
    OPERATOR = "operator"


dsar = typer.Typer(help="People's requests: open, follow, hold, cancel, fetch.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(dsar, name="dsar")


@dsar.command("list")
def every(
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """List all requests with what is due. Exit 1 while an alarm rings.

    Example: [bold]edge dsar list[/bold]
    """
    requests = operator_of(data, name, control_plane).get("/v1/dsar/requests")["requests"]
    show(requests, as_json=as_json, text=lambda: _list(requests))
    if any(request["alarms"] for request in requests):
        raise typer.Exit(FAILED)


@dsar.command("show")
def one(
    request: Id,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show one request: each step by each party, with what is owed and until when.

    Example: [bold]edge dsar show dsr-20270115-7EFRCS4B[/bold]
    """
    found = operator_of(data, name, control_plane).get(f"/v1/dsar/requests/{request}")
    show(found, as_json=as_json, text=lambda: _shown(found))


@dsar.command("open")
def begin(
    kind: Annotated[Kind, typer.Argument(help="What is asked.")],
    person: Annotated[str, typer.Option("--person", help="Their sub, or subject as receipts name it.")],
    note: Annotated[str, typer.Option("--note", help="How you verified who asks.")],
    verified: Annotated[Verified, typer.Option("--verified-by", help="For whom.")] = Verified.OPERATOR,
    category: Annotated[list[str] | None, typer.Option("--category", help="Of an objection; else all.")] = None,
    correct: Annotated[list[str] | None, typer.Option("--correct", help="name=value of a rectification.")] = None,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Open a request for a person whom you verified. The secret is printed once: it opens the answer and the file.

    Example: [bold]edge dsar open deletion --person p7JxS0m3BqRk2v1T9aYcZg --note "letter of 3 May"[/bold]
    """
    operator = operator_of(data, name, control_plane)
    wish = {**({"categories": sorted(set(category))} if category else {}), **_pairs(correct)}
    asked = {"kind": kind.value, "person": person, "verified_by": verified.value, "wish": wish}
    made = operator.post("/v1/dsar/requests", {**asked, "verifier": f"{operator.spiffe_id}: {note}"})
    show(made, as_json=as_json, text=lambda: _opened(made))


@dsar.command("cancel")
def cancel(
    request: Id,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Take a request back, as long as nothing final was done.

    Example: [bold]edge dsar cancel dsr-20270115-7EFRCS4B[/bold]
    """
    operator = operator_of(data, name, control_plane)
    found = operator.post(f"/v1/dsar/requests/{request}/cancel", {"by": str(operator.spiffe_id)})
    show(found, as_json=as_json, text=lambda: f"{request}: {found['state']}")


@dsar.command("hold")
def hold(
    request: Id,
    lift: Annotated[bool, typer.Option("--lift", help="Let the data go again.")] = False,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Forbid under your name that this person's data goes, by any request or sweep; or lift that.

    Example: [bold]edge dsar hold dsr-20270115-7EFRCS4B[/bold]
    """
    operator = operator_of(data, name, control_plane)
    said = {"lifted_by" if lift else "by": str(operator.spiffe_id)}
    found = operator.post(f"/v1/dsar/requests/{request}/hold", said)
    show(found, as_json=as_json, text=lambda: f"{request}: held by {found['held_by'] or 'nobody'}")


@dsar.command("amend")
def amend(
    request: Id,
    category: Annotated[list[str] | None, typer.Option("--category", help="Of an objection.")] = None,
    correct: Annotated[list[str] | None, typer.Option("--correct", help="name=value of a rectification.")] = None,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a request is about before it is under way. What was asked before stays in the request.

    Example: [bold]edge dsar amend dsr-20270115-7EFRCS4B --category behavioral[/bold]
    """
    operator = operator_of(data, name, control_plane)
    wish = {**({"categories": sorted(set(category))} if category else {}), **_pairs(correct)}
    said = {"wish": wish, "by": str(operator.spiffe_id)}
    found = operator.post(f"/v1/dsar/requests/{request}/amend", said)
    show(found, as_json=as_json, text=lambda: f"{request}: amended")


@dsar.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="Where to write privacy-requests.csv.")],
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Write privacy-requests.csv: every request in one line. It names nobody.

    Example: [bold]edge dsar export --out privacy-requests.csv[/bold]
    """
    rows = operator_of(data, name, control_plane).get_bytes("/v1/dsar/list")
    out.write_bytes(rows)
    count = rows.count(b"\r\n") - 1
    show({"file": str(out), "requests": count}, as_json=as_json, text=lambda: f"{out}: {count} requests")


@dsar.command("import")
def take(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file of requests.")],
    remove: Annotated[bool, typer.Option("--remove", help="Delete the file afterwards: it names people.")] = False,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Open the requests of a CSV file: all of its lines, or none if one is wrong. The file names people.

    Example: [bold]edge dsar import letters.csv --remove[/bold]
    """
    made = operator_of(data, name, control_plane).post_bytes("/v1/dsar/import", file.read_bytes())["requests"]
    if remove:
        file.unlink()
    told = f"{len(made)} requests" + ("" if remove else f"; {file} names people: delete it (--remove)")
    show(made, as_json=as_json, text=lambda: told)


@dsar.command("evidence")
def fetch(
    request: Id,
    secret: Secret,
    out: Directory,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Open what is sealed to the asker: the file and closing statement of a deletion, or each part of an answer.

    Example: [bold]edge dsar evidence dsr-20270115-7EFRCS4B --secret $CODE --out answer[/bold]
    """
    sealed = operator_of(data, name, control_plane).get(f"/v1/dsar/requests/{request}/answers")
    files = unsealed(sealed, secret, out)
    show({"files": files}, as_json=as_json, text=lambda: "\n".join(files) or "nothing is sealed yet")


@dsar.command("portal")
def portal(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On 127.0.0.1; 0: any free one.")] = 0,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Show the requests as a page in your own browser: what is due, who owes what, what to do. Ctrl-C ends it.

    Example: [bold]edge dsar portal[/bold]
    """
    from consent_core.clock import SystemClock
    from edge_cli.portal.server import serving

    with serving(operator_of(data, name, control_plane), SystemClock(), port) as running:
        typer.echo(json.dumps({"entrance": running.entrance}) if as_json else running.entrance)
        running.wait()


def unsealed(sealed: dict[str, str], secret: str, out: Path) -> list[str]:
    """Write what a secret opens into a private directory; the files' names."""
    from consent_core.trust.sealing import unseal

    out.mkdir(parents=True, exist_ok=True)
    out.chmod(stat.S_IRWXU)
    files = []
    for what, text in sorted(sealed.items()):
        path = out / FILES.get(what, f"{what.replace('/', '-').replace(' ', '-')}.json")
        path.touch(mode=0o600)
        path.write_bytes(unseal(secret, base64.b64decode(text), what))
        files.append(os.fspath(path))
    return files


FILES = {"pack": "pack.json", "closing": "closing.jwt"}


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts or ()]
    if any(not equals for _, equals, _ in pairs):
        raise typer.BadParameter("expected name=value")
    return {name: value for name, _, value in pairs}


def _list(requests: list[dict[str, Any]]) -> Table:
    table = Table("id", "kind", "state", "received (UTC)", "due (UTC)", "by", Column("alarms", style="red"), box=None)
    for one in requests:
        state = f"{one['state']}, partial" if one["partial"] else one["state"]
        times = (when(one["received_at"]), when(one["due_at"]), CODES[one["binding"]])
        table.add_row(one["id"], one["kind"], state, *times, "; ".join(one["alarms"]))
    return table


def _shown(found: dict[str, Any]) -> Group:
    head = Table("", "", box=None, show_header=False)
    due = f"{when(found['due_at'])} ({CODES[found['binding']]}: {found['due_source']})"
    facts = {"id": found["id"], "kind": found["kind"], "state": found["state"], "reason": found["reason"], "due": due}
    facts |= {"held by": found["held_by"], "trouble": found["trouble"], "alarms": "; ".join(found["alarms"])}
    for name, value in facts.items():
        if value:
            head.add_row(name, str(value))
    steps = Table("step", "party", "", "done (UTC)", "shown by", box=None)
    for row in found["steps"]:
        shown = ", ".join(f"{name} {value}" for name, value in row["result"].items())
        steps.add_row(row["step"], row["party"], Mark[row["state"]], when(row["done_at"]), shown)
    return Group(head, "", steps)


def _opened(made: dict[str, Any]) -> str:
    secret = made["request_secret"]
    if secret is None:
        return f"{made['id']} is open already; its secret was shown when it was made"
    return f"{made['id']}\nsecret, shown once: {secret}"
