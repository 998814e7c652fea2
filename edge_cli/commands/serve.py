"""`edge up`, `edge pop`, `edge control-plane`: running things."""

import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from consent_core.errors import Rejected
from edge_cli.configuration import Sources, assigned, configured, explained, template
from edge_cli.console import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    KeyProviderToken,
    err,
    out,
    show,
)

T = TypeVar("T")
HERE = Path()
FIRST_POP_PORT = 8081
POP_PREFIX, PLANE_PREFIX = "EDGE_POP_", "EDGE_PLANE_"
COMPONENTS = Path("build/components")
PUBLIC_PORT, MESH_PORT = 7000, 7443  # the control plane's

PlanePublicPort = Annotated[
    int | None,
    typer.Option("--public-port", help="What anybody may read: documentation, edge state.", show_default="7000"),
]
PlaneMeshPort = Annotated[
    int | None, typer.Option("--mesh-port", help="POPs, devices, operators (mTLS).", show_default="7443")
]
DataSetting = Annotated[
    Path | None,
    typer.Option("--data", help="Where state is kept.", envvar="CONSENT_EDGE_DATA", show_default=".edge"),
]
KeyProviderSetting = Annotated[
    str | None,
    typer.Option(
        "--key-provider",
        help="keyring, openbao+https://host:port/key, aws-kms:key, or a plug-in's line.",
        show_default="keyring",
    ),
]


class Process(StrEnum):
    """Who can be configured."""

    POP = "pop"
    CONTROL_PLANE = "control-plane"


Pops = Annotated[int, typer.Option("--pops", min=1, max=50, help="How many POPs; POP n listens on 808n.")]
ControlPlanes = Annotated[
    int, typer.Option("--control-planes", min=1, max=9, help="So many on one PostgreSQL; POPs ask the next one.")
]
Database = Annotated[str | None, typer.Option("--database", help="postgresql://… instead of SQLite.")]
Name = Annotated[str, typer.Argument(help="The POP's id, which is also its region, such as tokyo-1.")]
Jurisdiction = Annotated[
    str | None, typer.Option("--jurisdiction", help="The law that applies here: EU, UK, US-CA, …", show_default="ZZ")
]
GeoHeader = Annotated[str | None, typer.Option("--geo-header", help="A header only a trusted front end can set.")]
ControlPlaneUrl = Annotated[
    str | None,
    typer.Option(
        "--control-plane",
        help="The control plane's mesh listener; several, with commas.",
        show_default="https://127.0.0.1:7443",
    ),
]
Catalogue = Annotated[
    Path | None, typer.Option("--catalogue", help="Slots and assets; else catalogue.toml here, else the demo's.")
]
Art = Annotated[Path | None, typer.Option("--art", help="The folder of the catalogue's pictures.")]
Site = Annotated[Path | None, typer.Option("--site", help="The static site to serve.")]
Function = Annotated[list[str] | None, typer.Option("--function", help="Decides for its categories; may be repeated.")]
Components = Annotated[Path, typer.Option("--components", help="Built and signed components.")]
Host = Annotated[
    str | None,
    typer.Option("--host", help="The address to listen on; in a container 0.0.0.0.", show_default="127.0.0.1"),
]
PublicPort = Annotated[int | None, typer.Option("--port", help="The public listener.", show_default="8081")]
MeshPort = Annotated[int | None, typer.Option("--mesh-port", help="The mesh listener (mTLS).", show_default="8481")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=64, help="Processes behind a POP's public port; one per core.", show_default="1"
    ),
]
FirstPort = Annotated[int, typer.Option("--port", min=1, max=65_000, help="POP 1's; POP n listens n - 1 above it.")]
PopFile = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file; see `edge config pop`.", envvar=f"{POP_PREFIX}CONFIG"),
]
PlaneFile = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file; see `edge config control-plane`.", envvar=f"{PLANE_PREFIX}CONFIG"),
]
Assigned = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting of `edge config`; may be repeated."),
]
Number = Annotated[
    int | None,
    typer.Option("--number", min=1, max=9, help="Of this one among those on one PostgreSQL.", show_default="1"),
]
Witnesses = Annotated[
    int | None,
    typer.Option(
        "--witnesses", min=0, max=9, help="Run so many witnesses of the ledger here; more than half must sign."
    ),
]
PlaneAdminPort = Annotated[
    int | None, typer.Option("--admin-port", help="/metrics and /readyz, this machine only; else no such listener.")
]
WitnessAt = Annotated[
    list[str] | None, typer.Option("--witness", help="name=http://host:port of one in the trust file; may be repeated.")
]
LedgerBeat = Annotated[
    float | None,
    typer.Option("--ledger-beat", help="Seconds between two checkpoints.", show_default="30"),
]
ArchivePlace = Annotated[
    str | None, typer.Option("--archive", help="A directory or s3://bucket/prefix; the ledger's files are added to it.")
]
PushFrom = Annotated[
    str | None,
    typer.Option(
        "--push",
        help="A NATS server that hints come from: nats://host:port.",
        show_default="the control plane's stream",
    ),
]
PushTo = Annotated[
    str | None, typer.Option("--push", help="A NATS server that hints are published to: nats://host:port.")
]
NoPush = Annotated[bool, typer.Option("--no-push", help="Do not listen to hints; polls carry everything.")]
SharedCache = Annotated[
    int | None,
    typer.Option("--shared-cache", min=0, metavar="SECONDS", help="Let CDNs keep defaults so long: docs/cdn.md."),
]
SpireSocket = Annotated[
    str | None, typer.Option("--spire-socket", help="SPIFFE Workload API.", envvar="SPIFFE_ENDPOINT_SOCKET")
]
SvidTtl = Annotated[
    int | None,
    typer.Option(
        "--svid-ttl",
        min=2,
        help="Seconds that a development certificate lives; renewed at half of it.",
        show_default="3600",
    ),
]
Policies = Annotated[
    Path | None, typer.Option("--policies", help="Published at the first start; else the shipped ones.")
]
Legal = Annotated[Path | None, typer.Option("--legal", help="The folder with clauses/; else the shipped one.")]
AdminPort = Annotated[
    int | None, typer.Option("--admin-port", help="/metrics and /readyz, this machine only.", show_default="8881")
]


AttestEvery = Annotated[
    int | None, typer.Option("--attest-every", min=1, help="Seconds between two attestations.", show_default="60")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(pop)
    app.command("control-plane")(control_plane)
    app.command()(config)


def up(
    pops: Pops = 2,
    workers: Workers = None,
    witnesses: Witnesses = None,
    ledger_beat: LedgerBeat = None,
    port: FirstPort = FIRST_POP_PORT,
    config: PopFile = None,
    data: DataOption = DEFAULT_DATA,
    catalogue: Catalogue = None,
    art: Art = None,
    site: Site = None,
    functions: Function = None,
    database: Database = None,
    control_planes: ControlPlanes = 1,
    push: PushTo = None,
    as_json: JsonOption = False,
) -> None:
    """Build everything, run a control plane and POPs, and say how to try it. Without a catalogue: the demo shop.

    Example: [bold]edge up --pops 3[/bold]
    """
    from builder.report import results_table
    from edge_cli.checkup import require_free
    from edge_cli.welcome import places, welcome
    from fleet.processes import Fleet, fleet_of
    from fleet.project import prepare, project_of
    from fleet.witnesses import known_witnesses, witness_names

    for option, path in (("--catalogue", catalogue), ("--art", art), ("--site", site)):
        if path is not None and not path.exists():
            raise typer.BadParameter(f"{path} does not exist", param_hint=option)
    if control_planes > 1 and database is None:
        raise typer.BadParameter("several share a PostgreSQL: give --database too", param_hint="--control-planes")
    project = project_of(HERE).but(catalogue, art, site, functions)
    options: tuple[str, ...] = ("--workers", str(workers)) if workers else ()
    options += ("--config", str(config)) if config else ()
    hints = () if push is None else ("--push", push)
    options += hints
    specs = fleet_of(pops, port, options=(*project.options(), *options))
    require_free([PUBLIC_PORT, MESH_PORT, *(spec.port for spec in specs)])
    err.print(results_table(prepare(data, COMPONENTS, err, HERE, project).built))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended
    names = known_witnesses(data) if witnesses is None else witness_names(witnesses)
    beat = () if ledger_beat is None else ("--ledger-beat", str(ledger_beat))
    with err.status("starting …") as status:
        fleet = Fleet(data, specs, site=project.site, public_port=PUBLIC_PORT, mesh_port=MESH_PORT,
                      database=database, witnesses=names, plane_options=(*beat, *hints), control_planes=control_planes,
                      on_progress=lambda name: status.update(f"starting {name} …"))  # fmt: skip
        fleet.__enter__()
    try:
        show(places(fleet, specs), as_json=as_json, text=lambda: out.print(welcome(fleet, specs), soft_wrap=True))
        fleet.watch()
    finally:
        fleet.stop()


def pop(
    name: Name,
    data: DataSetting = None,
    config: PopFile = None,
    assign: Assigned = None,
    jurisdiction: Jurisdiction = None,
    geo_header: GeoHeader = None,
    control_plane: ControlPlaneUrl = None,
    catalogue: Catalogue = None,
    art: Art = None,
    site: Site = None,
    functions: Function = None,
    components: Components = COMPONENTS,
    host: Host = None,
    port: PublicPort = None,
    mesh_port: MeshPort = None,
    admin_port: AdminPort = None,
    workers: Workers = None,
    push: PushFrom = None,
    no_push: NoPush = False,
    attest_every: AttestEvery = None,
    shared_cache: SharedCache = None,
    svid_ttl: SvidTtl = None,
    spire_socket: SpireSocket = None,
    key_provider: KeyProviderSetting = None,
    key_provider_token: KeyProviderToken = None,
    as_json: JsonOption = False,
) -> None:
    """Run one POP. Every setting: `edge config pop`; the file's, then EDGE_POP_…, then an option's value holds.

    Example: [bold]edge pop frankfurt-1 --jurisdiction EU --port 8082[/bold]
    """
    from fleet.project import SDK, project_of
    from runtime_host.pop.config import PopConfig
    from runtime_host.pop.process.lead import run
    from runtime_host.pop.process.loading import PopPlaces

    settings = _configured(PopConfig, Sources(POP_PREFIX, config), assign, {
        "pop": name, "data": data, "jurisdiction": jurisdiction, "geo_header": geo_header,
        "control_plane": control_plane, "host": host, "public_port": port, "mesh_port": mesh_port,
        "admin_port": admin_port, "workers": workers, "push": False if no_push else None,
        "push_url": push, "svid_ttl_s": svid_ttl,
        "key_provider": key_provider, "attest_every_s": attest_every, "shared_cache_s": shared_cache,
    }, {"data": DEFAULT_DATA})  # fmt: skip
    project = project_of(HERE).but(catalogue, art, site, functions)
    show({"pop": name, "port": settings.public_port, "mesh_port": settings.mesh_port,
          "admin_port": settings.admin_port}, as_json=as_json, text=lambda: None)  # fmt: skip
    run(settings, PopPlaces(
        project.catalogue, project.art, components, project.functions,
        {"/": project.site, "/sdk/": SDK}, spire_socket, key_provider_token,
    ))  # fmt: skip


def control_plane(
    data: DataSetting = None,
    config: PlaneFile = None,
    assign: Assigned = None,
    number: Number = None,
    host: Host = None,
    public_port: PlanePublicPort = None,
    mesh_port: PlaneMeshPort = None,
    database: Database = None,
    policies: Policies = None,
    legal: Legal = None,
    svid_ttl: SvidTtl = None,
    spire_socket: SpireSocket = None,
    key_provider: KeyProviderSetting = None,
    key_provider_token: KeyProviderToken = None,
    witness: WitnessAt = None,
    ledger_beat: LedgerBeat = None,
    archive: ArchivePlace = None,
    push: PushTo = None,
    admin_port: PlaneAdminPort = None,
    as_json: JsonOption = False,
) -> None:
    """Run the control plane. Every setting: `edge config control-plane`; the file's, then EDGE_PLANE_…, then an
    option's value holds.

    Example: [bold]edge control-plane --database postgresql://127.0.0.1/consent[/bold]
    """
    from consent_core.resources import resource
    from control_plane.process import run
    from control_plane.settings import Settings

    settings = _configured(Settings, Sources(PLANE_PREFIX, config), assign, {
        "data": data, "number": number, "database_url": database, "host": host,
        "public_port": public_port, "mesh_port": mesh_port,
        "policies": policies, "legal": legal, "svid_ttl_s": svid_ttl,
        "spiffe_endpoint_socket": spire_socket, "key_provider": key_provider,
        "key_provider_token": key_provider_token, "witnesses": tuple(witness) if witness else None,
        "ledger_beat_s": ledger_beat, "archive": archive, "push_url": push, "admin_port": admin_port,
    }, {"data": DEFAULT_DATA, "policies": resource("policies"), "legal": resource("legal")})  # fmt: skip
    show({"public_port": settings.public_port, "mesh_port": settings.mesh_port}, as_json=as_json, text=lambda: None)
    run(settings, lambda running: err.print(
        f"listening: http://{settings.host}:{running.public_port} (public), "
        f"https://{settings.host}:{running.mesh_port} (mesh, mutual TLS)", highlight=False, soft_wrap=True,
    ))  # fmt: skip


def config(process: Annotated[Process, typer.Argument(help="Whose settings.")], as_json: JsonOption = False) -> None:
    """Print every setting of a process as a TOML file, at its default and with its meaning.

    Example: [bold]edge config pop > pop.toml[/bold]
    """
    from control_plane.settings import Settings
    from runtime_host.pop.config import PopConfig

    kind: type[PopConfig] | type[Settings] = PopConfig if process is Process.POP else Settings
    meanings = {item.name: comment for item, comment in explained(kind)}
    show(meanings, as_json=as_json, text=lambda: print(template(kind), end=""))


def _configured(
    kind: type[T], sources: Sources, assign: list[str] | None, options: dict[str, Any], defaults: dict[str, Any]
) -> T:
    """A configuration, or wrong usage: said before anything is opened. A named option holds over `--set`."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return configured(kind, sources, {**assigned(kind, assign or ()), **given}, defaults)
    except Rejected as error:
        raise typer.BadParameter(f"{error.code}: {error.message}") from error
