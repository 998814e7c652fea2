"""A package as an OCI image layout: a folder that any OCI tool can read or copy to a registry.

    DIR/oci-layout  index.json  blobs/sha256/<hex>

`index.json` is written last and at once, so a killed writer leaves what was there before. Source: OCI image
specification 1.1, image-layout.md.
"""

import shutil
from pathlib import Path

from builder.cache import digest_of
from builder.deploy.artefact import IMAGE_INDEX, Blob, Package
from consent_core.formats.canonical import canonical_json
from consent_core.trust.files import write_atomically

LAYOUT = {"imageLayoutVersion": "1.0.0"}


def write_layout(package: Package, directory: Path, tag: str) -> Path:
    """Write everything into `directory` and return its index. `tag` names the component in it."""
    for artefact in (package.component, *package.referrers):
        for blob in (*artefact.blobs, artefact.manifest):
            _write_blob(blob, directory)
    write_atomically(directory / "oci-layout", canonical_json(LAYOUT))
    index = directory / "index.json"
    write_atomically(index, _index(package, tag))
    return index


def _index(package: Package, tag: str) -> bytes:
    named = package.component.descriptor() | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    others = [artefact.descriptor() for artefact in package.referrers]
    return index_of([named, *others])


def index_of(descriptors: list[dict[str, object]]) -> bytes:
    """An OCI image index that names these manifests."""
    return canonical_json({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": descriptors})


def blob_path(directory: Path, digest: str) -> Path:
    """Where a layout keeps a blob."""
    return directory / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _write_blob(blob: Blob, directory: Path) -> None:
    path = blob_path(directory, blob.digest)
    if digest_of(path) == blob.digest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(blob.content, bytes):
        write_atomically(path, blob.content)
        return
    staged = path.with_suffix(".partial")
    shutil.copyfile(blob.content, staged)
    staged.replace(path)
