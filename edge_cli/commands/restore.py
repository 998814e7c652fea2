"""`edge control-plane backup`, `edge control-plane restore`, `edge pop accept-log`: when a store is lost."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, err, out, show

Database = Annotated[str | None, typer.Option("--database", help="postgresql://… instead of SQLite.")]
Directory = Annotated[Path, typer.Argument(help="The backup.")]
Pop = Annotated[str, typer.Argument(help="The POP's id.")]
Without = Annotated[list[str] | None, typer.Option("--without", help="A POP that is gone; may be repeated.")]
Also = Annotated[
    list[str] | None, typer.Option("--pop", help="A POP to wait for that the backup does not know; may be repeated.")
]
Approver = Annotated[str | None, typer.Option("--approver", help="Who decides this; signed for the POPs.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PublicPort = Annotated[int, typer.Option("--public-port", help="As the control plane's.")]
MeshPort = Annotated[int, typer.Option("--mesh-port", help="As the control plane's: POPs come here.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("control-plane backup")(backup)
    app.command("control-plane restore")(restore)
    app.command("pop accept-log")(accept_log)


def backup(
    directory: Directory, data: DataOption = DEFAULT_DATA, database: Database = None, as_json: JsonOption = False
) -> None:
    """Copy the control plane's store into a new directory, while it runs.

    Example: [bold]edge control-plane backup backups/monday[/bold]
    """
    from consent_core.clock import SystemClock
    from control_plane.restore.backup import back_up
    from control_plane.settings import Settings
    from control_plane.store.database import Database as Store

    settings = Settings(data=data, database_url=database)
    store = Store.open(settings.store_url)
    made = back_up(store, directory, SystemClock().now())
    store.close()
    show({"directory": str(directory), "head": made.head, "origin": made.origin, "step": made.step},
         as_json=as_json, text=lambda: f"{directory}: the log up to entry {made.head}")  # fmt: skip


def restore(
    directory: Directory,
    without: Without = None,
    also: Also = None,
    approver: Approver = None,
    data: DataOption = DEFAULT_DATA,
    database: Database = None,
    host: Host = "127.0.0.1",
    public_port: PublicPort = 7000,
    mesh_port: MeshPort = 7443,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the store's place, collect from the POPs what it lacks, and end. Start the control plane then.

    Example: [bold]edge control-plane restore backups/monday --without tokyo-1[/bold]
    """
    from control_plane.restore_process import Restore, run
    from control_plane.settings import Settings

    settings = Settings(data=data, database_url=database, host=host, public_port=public_port, mesh_port=mesh_port)
    wanted = Restore(directory, tuple(without or ()), tuple(also or ()), approver or getpass.getuser())
    with err.status("putting the backup in place …") as status:
        done = run(settings, wanted, lambda names: status.update(f"waiting for {', '.join(names)} …"))
    show({"origin": done.origin, "head": done.head, "pops": list(done.pops), "left_out": dict(done.left_out)},
         as_json=as_json, text=lambda: out.print(f"restored as {done.origin}, {done.head} entries; "
                                                 f"from {', '.join(done.pops) or 'no POP'}"))  # fmt: skip


def accept_log(pop: Pop, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Let a POP follow the log that its control plane has now, after an alarm. What was denied there stays denied.

    Example: [bold]edge pop accept-log tokyo-1[/bold]
    """
    from consent_core.clock import SystemClock
    from consent_core.errors import Rejected
    from runtime_host.pop.stores import PopStore

    path = data / "pops" / pop / "pop.db"
    if not path.exists():
        raise Rejected("pop-unknown", f"no POP of that name keeps its store under {data}", status=404)
    with PopStore(path, SystemClock()) as store:
        before = store.log.position
        store.accept_log()
    show({"pop": pop, "alarm": before.alarm, "origin": before.origin, "position": before.position},
         as_json=as_json, text=lambda: f"{pop} reads the next log from its start (alarm: {before.alarm})")  # fmt: skip
