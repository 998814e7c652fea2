"""What each edge wants to be told, from templates: one component, and the control plane as the only way out.

    setting = Setting(Origin.parse("https://control.example:7443"), public_variables(trust, jurisdiction="EU"))
    files = render("spin", release, setting)

| target    | files | who holds it to the control plane |
|---|---|---|
| spin      | spin.toml                                         | Spin, by `allowed_outbound_hosts` |
| wasmcloud | .wash/config.yaml, workload-deployment.yaml       | the wasmCloud host, by `allowedHosts` |
| wasmtime  | serve.sh, <name>.env, consent-edge-<name>.service | systemd, by address: wasmtime has no such list |

Every host gets a fresh instance for each request. Public variables are written out; the two secret ones are only
named, and come from what each host keeps secrets in. Values are checked here and quoted by `tojson`, whose strings
TOML and YAML read alike.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder.deploy.origin import Origin, is_loopback
from builder.deploy.reference import Reference
from builder.deploy.release import Release, check_serves_http
from consent_core.errors import Rejected
from consent_core.trust.trust_file import TrustFile

TARGETS = ("spin", "wasmcloud", "wasmtime", "oci")
LISTEN = "127.0.0.1:8080"  # a front end terminates TLS; systemd's address filter counts what comes in as well
PREFIX = "CONSENT_EDGE_"
MESH_PORT = 7443  # of a control plane, unless it was told otherwise
EDGE_STATE = "/v1/edge-state"  # what a portable edge asks for
REACH_S = 5.0
SECRETS = ("CONSENT_EDGE_POP_KEY", "CONSENT_EDGE_RENDITION_KEY")  # never in a rendered file

_ADDRESS = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")
_PLAIN = re.compile(r"[A-Za-z0-9-]{1,64}(?:\+[A-Za-z0-9-]{1,64})?")  # `+`: two headers


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a component will run. `variables`: what it is told besides the control plane (`public_variables`).

    `image`: where a wasmCloud host pulls it from; `addresses`: the control plane's, for a filter by address.
    """

    control_plane: Origin
    variables: Mapping[str, str] = field(default_factory=dict)
    image: Reference | None = None
    addresses: tuple[str, ...] = ()
    listen: str = LISTEN
    replicas: int = 2


def public_variables(
    trust: TrustFile, *, jurisdiction: str = "ZZ", geo_header: str | None = None, site: bytes | None = None
) -> dict[str, str]:
    """What `edge_http` reads from its environment, without secrets. Raises: Rejected("deploy-variable")."""
    needed = replace(trust.with_keys(tuple(key for key in trust.trusted_keys if key.role == "log")), allowed_imports={})
    values = {"TRUST": _one_line(needed.to_bytes()), "JURISDICTION": _plain("jurisdiction", jurisdiction)}
    values |= {"SITE": _one_line(site)} if site else {}
    values |= {"GEO_HEADER": _plain("geo header", geo_header)} if geo_header else {}
    return {f"{PREFIX}{name}": value for name, value in values.items()}


def check_deployable(control_plane: Origin, site: bytes | None, asks: bool = True) -> None:
    """Return if an edge would show something: it has slots and pictures, and its control plane answers where it asks.

    `asks`: whether to look for the control plane from here.
    Raises: Rejected("deploy-catalogue" | "deploy-control-plane").
    """
    if site is None:
        raise Rejected("deploy-catalogue", "an edge without a catalogue shows nothing: --catalogue and --art name it")
    if control_plane.port == MESH_PORT:
        raise Rejected("deploy-control-plane", f"--control-plane: {control_plane} is the mesh listener, which asks for "
                       "certificates; name the public one (port 7000, or the front end before it)")  # fmt: skip
    if asks:
        _check_reached(control_plane)


def _check_reached(control_plane: Origin) -> None:
    try:
        answer = httpx.get(f"{control_plane}{EDGE_STATE}", timeout=REACH_S, trust_env=False)
    except httpx.HTTPError as error:
        message = f"--control-plane: {control_plane} does not answer ({error}); --unreached renders all the same"
        raise Rejected("deploy-control-plane", message) from error
    if not answer.is_success:
        message = f"--control-plane: {control_plane}{EDGE_STATE} answered {answer.status_code}: no control plane"
        raise Rejected("deploy-control-plane", message)


def render(target: str, release: Release, setting: Setting) -> dict[str, str]:
    """Path -> text of every file for `spin`, `wasmcloud` or `wasmtime`. Raises: Rejected("deploy-…")."""
    check_serves_http(release.manifest)
    return {"spin": _spin, "wasmcloud": _wasmcloud, "wasmtime": _wasmtime}[target](release, setting)


def _spin(release: Release, setting: Setting) -> dict[str, str]:
    return {"spin.toml": _fill("spin.toml", _values(release, setting))}


def _wasmcloud(release: Release, setting: Setting) -> dict[str, str]:
    if setting.image is None or setting.image.digest is None:
        raise Rejected("deploy-image", "wasmCloud pulls from a registry: `edge deploy push` prints what --image takes")
    values = _values(release, setting) | {"image": str(setting.image), "replicas": setting.replicas}
    return {
        ".wash/config.yaml": _fill("wash-config.yaml", values),
        "workload-deployment.yaml": _fill("workload-deployment.yaml", values),
    }


def _wasmtime(release: Release, setting: Setting) -> dict[str, str]:
    if not _ADDRESS.fullmatch(setting.listen):
        raise Rejected("deploy-listen", "expected 127.0.0.1:PORT: a front end in front of it ends TLS")
    values = _values(release, setting) | {"listen": setting.listen, "addresses": _egress(setting)}
    return {
        "serve.sh": _fill("serve.sh", values),
        f"{values['id']}.env": _fill("serve.env", values),
        f"consent-edge-{values['id']}.service": _fill("serve.service", values),
    }


def _egress(setting: Setting) -> tuple[str, ...]:
    """The control plane's addresses, for a filter that knows no names. Raises: Rejected("deploy-egress")."""
    host = setting.control_plane.host
    named = setting.addresses or ((host,) if _is_address(host) else ())
    if not all(_is_address(address) for address in named):
        raise Rejected("deploy-egress", "--address: expected IP addresses without a range")
    if not named and not is_loopback(host):
        raise Rejected("deploy-egress", f"systemd filters by address: name each address of {host} with --address")
    return tuple(address for address in named if not is_loopback(address))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _values(release: Release, setting: Setting) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "name": manifest.name,
        "id": manifest.name.replace("_", "-"),
        "file": manifest.wasm_file,
        "digest": manifest.component,
        "version": f"0.0.0+{manifest.component.removeprefix('sha256:')[:12]}",
        "control_plane": str(setting.control_plane),
        "variables": {f"{PREFIX}CONTROL_PLANE": str(setting.control_plane), **setting.variables},
        "secrets": SECRETS,
        "keyvalue": release.imports("wasi:keyvalue"),
        "memory_bytes": manifest.limits.memory_mib * 1024 * 1024,
        "deadline_ms": manifest.limits.deadline_ms,
    }


def _one_line(data: bytes) -> str:
    """JSON in ASCII without an apostrophe, so that every quoting there is leaves it alone."""
    return json.dumps(json.loads(data), separators=(",", ":")).replace("'", "\\u0027")


def _plain(name: str, value: str) -> str:
    if not _PLAIN.fullmatch(value):
        raise Rejected("deploy-variable", f"{name}: expected letters, digits and hyphens")
    return value


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return _TEMPLATES.get_template(f"{template}.j2").render(values)


_TEMPLATES = Environment(  # noqa: S701 - TOML, YAML and shell, not HTML: values are quoted by `tojson`
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
