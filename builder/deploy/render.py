"""What each edge wants to be told, from templates: one component, and the control plane as the only way out.

    files = render("spin", release, Setting(control_plane=Origin.parse("https://control.example:7443")))

| target    | files | who holds it to the control plane |
|---|---|---|
| spin      | spin.toml                                    | Spin, by `allowed_outbound_hosts` |
| wasmcloud | .wash/config.yaml, workload-deployment.yaml  | the wasmCloud host, by `allowedHosts` |
| wasmtime  | serve.sh, consent-edge-<name>.service        | systemd, by address: `wasmtime serve` has no such list |

Every host gets a fresh instance for each request. Values are checked before they get here and quoted by `tojson`,
whose strings TOML, YAML and this shell read alike.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder.deploy.origin import Origin, is_loopback
from builder.deploy.reference import Reference
from builder.deploy.release import Release, check_serves_http
from consent_core.errors import Rejected

TARGETS = ("spin", "wasmcloud", "wasmtime", "oci")
LISTEN = "127.0.0.1:8080"  # a front end terminates TLS; systemd's address filter counts what comes in as well
ENVIRONMENT = "CONSENT_EDGE_CONTROL_PLANE"  # how a component learns its control plane on hosts without wasi:keyvalue

_ADDRESS = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a component will run. `image`: where a wasmCloud host pulls it from; `addresses`: the control plane's."""

    control_plane: Origin
    image: Reference | None = None
    addresses: tuple[str, ...] = ()
    listen: str = LISTEN
    replicas: int = 2


def render(target: str, release: Release, setting: Setting) -> dict[str, str]:
    """Path -> text of every file for `spin`, `wasmcloud` or `wasmtime`. Raises: Rejected("deploy-…")."""
    check_serves_http(release.manifest)
    return {"spin": _spin, "wasmcloud": _wasmcloud, "wasmtime": _wasmtime}[target](release, setting)


def _spin(release: Release, setting: Setting) -> dict[str, str]:
    return {"spin.toml": _fill("spin.toml", _values(release, setting))}


def _wasmcloud(release: Release, setting: Setting) -> dict[str, str]:
    if setting.image is None or setting.image.digest is None:
        raise Rejected("deploy-image", "wasmCloud pulls from a registry: push first, then name host/name@sha256:… here")
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
        f"consent-edge-{values['id']}.service": _fill("serve.service", values),
    }


def _egress(setting: Setting) -> tuple[str, ...]:
    """The control plane's addresses, for a filter that knows no names. Raises: Rejected("deploy-egress")."""
    host = setting.control_plane.host
    named = setting.addresses or ((host,) if _is_address(host) else ())
    if not all(_is_address(address) for address in named):
        raise Rejected("deploy-egress", "expected IP addresses without a range")
    if not named and not is_loopback(host):
        raise Rejected("deploy-egress", "wasmtime has no allow-list and systemd filters by address: name the addresses")
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
        "variable": ENVIRONMENT,
        "keyvalue": release.imports("wasi:keyvalue"),
        "memory_bytes": manifest.limits.memory_mib * 1024 * 1024,
        "deadline_ms": manifest.limits.deadline_ms,
    }


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return _TEMPLATES.get_template(f"{template}.j2").render(values)


_TEMPLATES = Environment(  # noqa: S701 - TOML, YAML and shell, not HTML: values are quoted by `tojson`
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
