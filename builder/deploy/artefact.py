"""A release as OCI artefacts: the component in the CNCF wasm layout, and what refers to it.

    component    config application/vnd.wasm.config.v0+json, one layer application/wasm
    signature    the signed envelope and the manifest it is about
    provenance   SLSA provenance in a signed envelope
    sbom         CycloneDX
    native       the `.cwasm` that our own POPs map

The last four name the component's manifest as their `subject`, which makes a registry list them as its referrers.
There is no time in any of them: the same release has the same digests wherever it is packed.

Sources: OCI image specification 1.1 (manifest, artifactType, subject); CNCF TAG Runtime, Wasm OCI artifact layout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.deploy.provenance import PREDICATE_TYPE, SBOM_NAME, Provenance, sign_provenance
from builder.deploy.release import Release
from builder.deploy.sbom import bill_of_materials
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.dsse import Signer
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
WASM_CONFIG = "application/vnd.wasm.config.v0+json"
WASM_LAYER = "application/wasm"
EMPTY = "application/vnd.oci.empty.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"

SIGNATURE_TYPE = "application/vnd.consent-edge.component.signature.v1"
MANIFEST_LAYER = "application/vnd.consent-edge.component.manifest.v1+json"
PROVENANCE_TYPE = "application/vnd.in-toto.provenance+dsse"
SBOM_TYPE = "application/vnd.cyclonedx+json"
NATIVE_TYPE = "application/vnd.consent-edge.component.native.v1"

_TITLE = "org.opencontainers.image.title"
_EPOCH = "1970-01-01T00:00:00Z"  # a time is required; the build's own would make each packing another artefact


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes by digest: `content` is the bytes, or the file that holds them. `size` in bytes."""

    media_type: str
    digest: str
    size: int
    content: bytes | Path = field(repr=False)
    title: str = ""

    @classmethod
    def of(cls, media_type: str, data: bytes, title: str = "") -> "Blob":
        """A blob in memory."""
        return cls(media_type, sha256_digest(data), len(data), data, title)

    def descriptor(self) -> dict[str, Any]:
        """How a manifest names it."""
        value = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return value | ({"annotations": {_TITLE: self.title}} if self.title else {})


@dataclass(frozen=True, slots=True)
class Artefact:
    """An OCI manifest and the blobs it names, the config first. `kind`: its artifactType, "" for the component."""

    kind: str
    manifest: Blob
    blobs: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        """`sha256:…` of the manifest: the artefact's one name."""
        return self.manifest.digest

    def descriptor(self) -> dict[str, Any]:
        """How an index names it."""
        return self.manifest.descriptor() | ({"artifactType": self.kind} if self.kind else {})


@dataclass(frozen=True, slots=True)
class Package:
    """A component and everything that refers to it."""

    component: Artefact
    referrers: tuple[Artefact, ...]


def pack(release: Release, dependencies: tuple[str, ...], signer: Signer, version: str) -> Package:
    """A verified release as OCI artefacts. `dependencies`: see `sbom.dependencies_of`; `signer`: role component.

    `version`: the tag it is pushed under, which the provenance signs.
    """
    component = _component(release)
    sbom = Blob.of(SBOM_TYPE, bill_of_materials(release.manifest, dependencies), SBOM_NAME)
    origin = sign_provenance(release.manifest, Provenance(sbom.digest, version), signer)
    provenance = Blob.of(ENVELOPE, origin, "provenance.dsse.json")
    signature = Blob.of(ENVELOPE, release.signature_file.read_bytes(), SIGNATURE_FILE)
    described = Blob.of(MANIFEST_LAYER, release.manifest_file.read_bytes(), MANIFEST_FILE)
    native = _file(NATIVE_TYPE, release.compiled, release.manifest.compiled)
    return Package(
        component,
        (
            _referrer(SIGNATURE_TYPE, component, signature, described),
            _referrer(
                PROVENANCE_TYPE, component, provenance, annotations={"in-toto.io/predicate-type": PREDICATE_TYPE}
            ),
            _referrer(SBOM_TYPE, component, sbom),
            _referrer(NATIVE_TYPE, component, native, annotations={"consent-edge.engine": release.manifest.engine}),
        ),
    )


def _component(release: Release) -> Artefact:
    manifest = release.manifest
    layer = _file(WASM_LAYER, release.component, manifest.component)
    config = {
        "created": _EPOCH,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": {"exports": list(manifest.exports), "imports": list(manifest.imports), "target": manifest.world},
    }
    annotations = {_TITLE: manifest.name, "consent-edge.world": manifest.world}
    return _artefact("", Blob.of(WASM_CONFIG, canonical_json(config)), (layer,), {"annotations": annotations})


def _referrer(kind: str, subject: Artefact, *layers: Blob, annotations: Mapping[str, str] | None = None) -> Artefact:
    more: dict[str, Any] = {"artifactType": kind, "subject": subject.manifest.descriptor()}
    if annotations:
        more["annotations"] = dict(annotations)
    return _artefact(kind, Blob.of(EMPTY, b"{}"), layers, more)


def _artefact(kind: str, config: Blob, layers: tuple[Blob, ...], more: Mapping[str, Any]) -> Artefact:
    value = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        **more,
    }
    return Artefact(kind, Blob.of(IMAGE_MANIFEST, canonical_json(value)), (config, *layers))


def _file(media_type: str, path: Path, digest: str) -> Blob:
    return Blob(media_type, digest, path.stat().st_size, path, path.name)
