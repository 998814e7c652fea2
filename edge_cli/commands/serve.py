"""`edge up`, `edge pop`, `edge control-plane`: running things."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from edge_cli.console import (
    DEFAULT_DATA,
    KEYRING,
    DataOption,
    JsonOption,
    KeyProviderOption,
    KeyProviderToken,
    err,
    out,
    show,
)

HERE = Path()
COMPONENTS = Path("build/components")
PUBLIC_PORT, MESH_PORT = 7000, 7443  # the control plane's
SVID_TTL_S = 3_600  # as PopConfig and Settings have it

Pops = Annotated[int, typer.Option("--pops", min=1, max=50, help="How many POPs; POP n listens on 808n.")]
Database = Annotated[str | None, typer.Option("--database", help="postgresql://… instead of SQLite.")]
Name = Annotated[str, typer.Argument(help="The POP's id, which is also its region, such as tokyo-1.")]
Jurisdiction = Annotated[str, typer.Option("--jurisdiction", help="The law that applies here: EU, UK, US-CA, …")]
GeoHeader = Annotated[str | None, typer.Option("--geo-header", help="A header only a trusted front end can set.")]
ControlPlaneUrl = Annotated[str, typer.Option("--control-plane", help="The control plane's mesh listener.")]
Catalogue = Annotated[
    Path | None, typer.Option("--catalogue", help="Slots and assets; else catalogue.toml here, else the demo's.")
]
Art = Annotated[Path | None, typer.Option("--art", help="The folder of the catalogue's pictures.")]
Site = Annotated[Path | None, typer.Option("--site", help="The static site to serve.")]
Function = Annotated[list[str] | None, typer.Option("--function", help="Decides for its categories; may be repeated.")]
Components = Annotated[Path, typer.Option("--components", help="Built and signed components.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on; in a container 0.0.0.0.")]
PublicPort = Annotated[int, typer.Option("--port", help="The public listener.")]
MeshPort = Annotated[int, typer.Option("--mesh-port", help="The mesh listener (mTLS).")]
Workers = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes behind a POP's public port; one per core.")
]
NoPush = Annotated[bool, typer.Option("--no-push", help="Do not listen to hints; polls carry everything.")]
SpireSocket = Annotated[
    str | None, typer.Option("--spire-socket", help="SPIFFE Workload API.", envvar="SPIFFE_ENDPOINT_SOCKET")
]
SvidTtl = Annotated[
    int, typer.Option("--svid-ttl", min=2, help="Seconds that a development certificate lives; renewed at half of it.")
]
Policies = Annotated[
    Path | None, typer.Option("--policies", help="Published at the first start; else the shipped ones.")
]
Legal = Annotated[Path | None, typer.Option("--legal", help="The folder with clauses/; else the shipped one.")]
AdminPort = Annotated[int, typer.Option("--admin-port", help="/metrics and /readyz, this machine only.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(pop)
    app.command("control-plane")(control_plane)


def up(
    pops: Pops = 2,
    workers: Workers = 1,
    data: DataOption = DEFAULT_DATA,
    catalogue: Catalogue = None,
    art: Art = None,
    site: Site = None,
    functions: Function = None,
    database: Database = None,
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

    for option, path in (("--catalogue", catalogue), ("--art", art), ("--site", site)):
        if path is not None and not path.exists():
            raise typer.BadParameter(f"{path} does not exist", param_hint=option)
    project = project_of(HERE).but(catalogue, art, site, functions)
    specs = fleet_of(pops, options=(*project.options(), "--workers", str(workers)))
    require_free([PUBLIC_PORT, MESH_PORT, *(spec.port for spec in specs)])
    err.print(results_table(prepare(data, COMPONENTS, err, HERE, project).built))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended
    with err.status("starting …") as status:
        fleet = Fleet(data, specs, site=project.site, public_port=PUBLIC_PORT, mesh_port=MESH_PORT,
                      database=database, on_progress=lambda name: status.update(f"starting {name} …"))  # fmt: skip
        fleet.__enter__()
    try:
        show(places(fleet, specs), as_json=as_json, text=lambda: out.print(welcome(fleet, specs), soft_wrap=True))
        fleet.watch()
    finally:
        fleet.stop()


def pop(
    name: Name,
    data: DataOption = DEFAULT_DATA,
    jurisdiction: Jurisdiction = "ZZ",
    geo_header: GeoHeader = None,
    control_plane: ControlPlaneUrl = "https://127.0.0.1:7443",
    catalogue: Catalogue = None,
    art: Art = None,
    site: Site = None,
    functions: Function = None,
    components: Components = COMPONENTS,
    host: Host = "127.0.0.1",
    port: PublicPort = 8081,
    mesh_port: MeshPort = 8481,
    admin_port: AdminPort = 8881,
    workers: Workers = 1,
    no_push: NoPush = False,
    svid_ttl: SvidTtl = SVID_TTL_S,
    spire_socket: SpireSocket = None,
    key_provider: KeyProviderOption = KEYRING,
    key_provider_token: KeyProviderToken = None,
    as_json: JsonOption = False,
) -> None:
    """Run one POP.

    Example: [bold]edge pop frankfurt-1 --jurisdiction EU --port 8082[/bold]
    """
    from fleet.project import SDK, project_of
    from runtime_host.pop.config import PopConfig
    from runtime_host.pop.process.lead import run
    from runtime_host.pop.process.loading import PopPlaces

    try:
        config = PopConfig(
            pop=name, data=data, jurisdiction=jurisdiction, geo_header=geo_header, control_plane=control_plane,
            host=host, public_port=port, mesh_port=mesh_port, admin_port=admin_port, workers=workers,
            push=not no_push, svid_ttl_s=svid_ttl, key_provider=key_provider,
        )  # fmt: skip
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    project = project_of(HERE).but(catalogue, art, site, functions)
    show({"pop": name, "port": port, "mesh_port": mesh_port, "admin_port": admin_port},
         as_json=as_json, text=lambda: None)  # fmt: skip
    run(config, PopPlaces(
        project.catalogue, project.art, components, project.functions,
        {"/": project.site, "/sdk/": SDK}, spire_socket, key_provider_token,
    ))  # fmt: skip


def control_plane(
    data: DataOption = DEFAULT_DATA,
    host: Host = "127.0.0.1",
    public_port: Annotated[int, typer.Option(help="What anybody may read: documentation, edge state.")] = PUBLIC_PORT,
    mesh_port: Annotated[int, typer.Option(help="POPs, devices, operators (mTLS).")] = MESH_PORT,
    database: Database = None,
    policies: Policies = None,
    legal: Legal = None,
    svid_ttl: SvidTtl = SVID_TTL_S,
    spire_socket: SpireSocket = None,
    key_provider: KeyProviderOption = KEYRING,
    key_provider_token: KeyProviderToken = None,
    as_json: JsonOption = False,
) -> None:
    """Run the control plane.

    Example: [bold]edge control-plane --database postgresql://127.0.0.1/consent[/bold]
    """
    from consent_core.resources import resource
    from control_plane.process import run
    from control_plane.settings import Settings

    show({"public_port": public_port, "mesh_port": mesh_port}, as_json=as_json, text=lambda: None)
    run(Settings(
        data=data, database_url=database, host=host, public_port=public_port, mesh_port=mesh_port,
        policies=policies or resource("policies"), legal=legal or resource("legal"),
        svid_ttl_s=svid_ttl, spiffe_endpoint_socket=spire_socket, key_provider=key_provider,
        key_provider_token=key_provider_token,
    ))  # fmt: skip
