"""`edge deploy`: components to the edges that run them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, progress, show

app = typer.Typer(help="Components to WASI edges and registries, and back, verified.", no_args_is_help=True)

COMPONENTS = Path("build/components")

Name = Annotated[str, typer.Argument(help="The function; built already.")]
Target = Annotated[str, typer.Option("--target", help="spin, wasmcloud, wasmtime or oci.")]
Out = Annotated[Path, typer.Option("--out", help="The folder to write into.")]
Components = Annotated[Path, typer.Option("--components", help="Built and signed components.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds functions/.")]
ControlPlane = Annotated[
    str | None,
    typer.Option("--control-plane", help="The control plane's public origin, the only one it may call."),
]
Unreached = Annotated[bool, typer.Option("--unreached", help="Do not ask whether the control plane answers.")]
Address = Annotated[list[str] | None, typer.Option("--address", help="The control plane's IP address, for systemd.")]
Image = Annotated[str | None, typer.Option("--image", help="host/name@sha256:…, as `edge deploy push` prints it.")]
Jurisdiction = Annotated[str, typer.Option("--jurisdiction", help="The law that applies there.")]
GeoHeader = Annotated[str | None, typer.Option("--geo-header", help="A header only a trusted front end can set.")]
Catalogue = Annotated[Path | None, typer.Option("--catalogue", help="Slots and assets it may show, with --art.")]
Art = Annotated[Path, typer.Option("--art", help="The folder of the catalogue's pictures.")]
Ref = Annotated[str, typer.Argument(metavar="REF", help="host[:port]/name:tag or host[:port]/name@sha256:…")]
Trust = Annotated[Path | None, typer.Option("--trust", help="The trust file; else the data directory's.")]
OutOrNot = Annotated[Path | None, typer.Option("--out", help="Put the verified files here, as a build does.")]
User = Annotated[str, typer.Option("--user", envvar="CONSENT_EDGE_REGISTRY_USER", help="Who we are there.")]
Realm = Annotated[str, typer.Option("--realm", help="The host of its token service, where it is another one.")]
Version = Annotated[str, typer.Option("--version", help="The version that the oci layout's provenance signs.")]
Called = Annotated[str | None, typer.Option("--name", help="The component; else the repository's last part.")]
Password = Annotated[str, typer.Option(envvar="CONSENT_EDGE_REGISTRY_PASSWORD", help="Better in the environment.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    parent.add_typer(app, name="deploy")


@app.command("render")
def render_files(
    name: Name = "edge_http",
    target: Target = "oci",
    out: Out = Path("build/deploy"),
    control_plane: ControlPlane = None,
    unreached: Unreached = False,
    address: Address = None,
    image: Image = None,
    jurisdiction: Jurisdiction = "ZZ",
    geo_header: GeoHeader = None,
    catalogue: Catalogue = None,
    art: Art = Path("build/art"),
    version: Version = "0.0.0",
    components: Components = COMPONENTS,
    root: Root = Path(),
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Write what an edge needs to run a component, the component included.

    Example: [bold]edge deploy render --target spin --control-plane https://control.example
    --catalogue catalogue.toml --art art --out deploy/spin[/bold]
    """
    from builder.deploy.origin import Origin
    from builder.deploy.reference import Reference
    from builder.deploy.release import open_release
    from builder.deploy.render import TARGETS, Setting, check_deployable, public_variables
    from builder.deploy.writing import write_layout_of, write_target
    from consent_core.clock import SystemClock
    from consent_core.errors import Rejected
    from consent_core.trust.keys import KeyStore
    from consent_core.trust.trust_file import NO_LOG

    if target not in TARGETS:
        raise typer.BadParameter(f"expected one of {', '.join(TARGETS)}", param_hint="--target")
    store = KeyStore.open(data)
    trust = store.trust_file()
    release = open_release(components / name, trust, SystemClock().now(), NO_LOG)
    if target == "oci":
        written = write_layout_of(release, store.current("component"), version, root, out)
    else:
        if control_plane is None:
            raise Rejected("deploy-control-plane", "--control-plane: name the control plane's public origin")
        origin, site = Origin.parse(control_plane), _site(catalogue, art) if catalogue else None
        check_deployable(origin, site, asks=not unreached)
        variables = public_variables(trust, jurisdiction=jurisdiction, geo_header=geo_header, site=site)
        setting = Setting(origin, variables, Reference.parse(image) if image else None, tuple(address or ()))
        written = write_target(target, release, setting, out)
    document = {"target": target, "component": release.manifest.component, "files": [str(path) for path in written]}
    show(document, as_json=as_json, text=lambda: "\n".join(document["files"]))


@app.command("push")
def push_component(
    reference: Ref,
    name: Name = "edge_http",
    components: Components = COMPONENTS,
    root: Root = Path(),
    data: DataOption = DEFAULT_DATA,
    user: User = "",
    password: Password = "",
    realm: Realm = "",
    as_json: JsonOption = False,
) -> None:
    """Push a component with its signature, provenance and bill of materials, and say its digest.

    Example: [bold]edge deploy push registry.example/shop/edge_http:1.0.0[/bold]
    """
    from builder.deploy.access import RegistryAuth
    from builder.deploy.artefact import pack
    from builder.deploy.push import push
    from builder.deploy.reference import Reference
    from builder.deploy.registry import Registry
    from builder.deploy.release import open_release
    from builder.deploy.sbom import dependencies_of
    from consent_core.clock import SystemClock
    from consent_core.trust.keys import KeyStore
    from consent_core.trust.trust_file import NO_LOG

    place = Reference.parse(reference)
    if place.component != name:
        raise typer.BadParameter(f"{place.name} is no repository of {name}: its last part says so", param_hint="REF")
    store = KeyStore.open(data)
    release = open_release(components / name, store.trust_file(), SystemClock().now(), NO_LOG)
    package = pack(release, dependencies_of(release.manifest, root), store.current("component"), str(place.tag))
    with (
        Registry(place, RegistryAuth(user, password, realm)) as registry,
        progress(f"pushing {name}", hidden=as_json) as tell,
    ):
        pushed = push(package, place, registry, tell)
    show({"reference": str(pushed), "digest": pushed.digest}, as_json=as_json, text=lambda: str(pushed))


@app.command("verify")
def verify_component(
    reference: Ref,
    trust: Trust = None,
    out: OutOrNot = None,
    name: Called = None,
    data: DataOption = DEFAULT_DATA,
    user: User = "",
    password: Password = "",
    realm: Realm = "",
    as_json: JsonOption = False,
) -> None:
    """Pull a component and check it by the trust file; nothing of it is run. Exit code 1 if anything is amiss.

    Example: [bold]edge deploy verify registry.example/shop/edge_http:1.0.0 --out build/components[/bold]
    """
    from builder.deploy.access import RegistryAuth
    from builder.deploy.reference import Reference
    from builder.deploy.registry import Registry
    from builder.deploy.verify import verify
    from consent_core.clock import SystemClock
    from consent_core.trust.trust_file import NO_LOG, TrustFile

    place = Reference.parse(reference)
    with Registry(place, RegistryAuth(user, password, realm)) as registry:
        trusted = TrustFile.load(trust or data / "trust.json")
        verified = verify(place, trusted, registry, SystemClock().now(), NO_LOG, out, name)
    document: dict[str, Any] = {
        "reference": str(verified.reference),
        "name": verified.manifest.name,
        "world": verified.manifest.world,
        "component": verified.manifest.component,
        "imports": list(verified.manifest.imports),
        "directory": str(verified.directory) if verified.directory else None,
    }
    show(document, as_json=as_json, text=lambda: f"[green]verified[/] {verified.reference}")


def _site(catalogue: Path, art: Path) -> bytes:
    from consent_core.formats.edge_site import EdgeSite
    from runtime_host.pop.images.loading import load_catalogue

    loaded = load_catalogue(catalogue, art)
    return EdgeSite.of(loaded.catalogue, loaded.sources, loaded.fonts).to_bytes()
