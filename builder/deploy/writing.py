"""Rendered files onto the disk, the component beside them: what a folder holds then is what was checked."""

import shutil
from pathlib import Path

from builder.deploy.artefact import pack
from builder.deploy.layout import write_layout
from builder.deploy.release import Release
from builder.deploy.render import Setting, render
from builder.deploy.sbom import dependencies_of
from consent_core.formats.dsse import Signer
from consent_core.trust.files import write_atomically

_RUNNABLE = 0o755
_READABLE = 0o644


def write_target(target: str, release: Release, setting: Setting, out: Path) -> list[Path]:
    """The files of one target and the component under `out`. Raises: Rejected("deploy-…"), nothing is written then."""
    files = render(target, release, setting)
    written = []
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"), _RUNNABLE if path.suffix == ".sh" else _READABLE)
        written.append(path)
    return [*written, _copy(release.component, out)]


def write_layout_of(release: Release, signer: Signer, version: str, root: Path, out: Path) -> list[Path]:
    """An OCI image layout of the release under `out`. Raises: Rejected("deploy-sources")."""
    package = pack(release, dependencies_of(release.manifest, root), signer, version)
    return [write_layout(package, out, release.manifest.name)]


def _copy(component: Path, out: Path) -> Path:
    target = out / component.name
    staged = target.with_suffix(".partial")
    shutil.copyfile(component, staged)
    staged.replace(target)
    return target
