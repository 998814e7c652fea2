"""A reference to files that may be instantiated, or a refusal. Nothing here runs any of it. In order:

1. The reference becomes one digest; from here on everything is asked for by digest.
2. The artefact has the CNCF wasm layout: one component.
3. A signature refers to it, by a component key of the trust file, over a manifest that names this very component,
   and has the name that was asked for.
4. What the manifest admits to import, the trust file allows for its world.
5. Provenance by a component key says that our builder made this component, under the version that was asked for, and
   names its bill of materials.
6. The bill of materials is there, and is that one.
7. The component's bytes are those signed, and import what the manifest admits and nothing else.
8. Where files are asked for: native code, if there is any, has the digest that was signed; then all appear at once.

Anybody who may push can add referrers, so one good signature among several is enough, and a bad one does no harm.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from builder.deploy.artefact import (
    IMAGE_MANIFEST,
    NATIVE_TYPE,
    PROVENANCE_TYPE,
    SBOM_TYPE,
    SIGNATURE_TYPE,
    WASM_CONFIG,
    WASM_LAYER,
)
from builder.deploy.provenance import Provenance, open_provenance
from builder.deploy.reference import Reference
from builder.deploy.registry import DIGEST, MAX_MANIFEST_BYTES, Registry
from builder.deploy.release import check_component
from builder.release import exchange
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object, sha256_digest
from consent_core.formats.dsse import MAX_ENVELOPE_BYTES
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE, ComponentManifest
from consent_core.trust.files import sync_directory, write_atomically
from consent_core.trust.trust_file import TrustFile
from runtime_host.wasm.loading import MAX_COMPONENT_BYTES, check_allowed, open_signed

MAX_CANDIDATES = 512  # referrers of one kind that are looked at; a bad one costs three small answers at most
MAX_REFERRER_BYTES = 16_384  # a referrer's manifest is about 1 KiB

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob that a manifest names."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A manifest that a trusted key signed, with the two files that say so."""

    manifest: ComponentManifest
    data: bytes
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What may be instantiated: the reference by digest, and the component's folder if one was asked for."""

    reference: Reference
    manifest: ComponentManifest
    directory: Path | None


@dataclass(frozen=True, slots=True)
class Standing:
    """By what signatures are judged: the trust file, the time (Unix seconds) and the keys known to be revoked."""

    trust: TrustFile
    now: int
    revoked: frozenset[str]


def verify(
    reference: Reference,
    trust: TrustFile,
    registry: Registry,
    now: int,
    revoked: frozenset[str],
    out: Path | None = None,
    name: str | None = None,
) -> Verified:
    """Pull and check everything; with `out` put the files into `out/<name>/`, as a build does.

    `now`: Unix seconds at which its keys must be valid; `revoked`: keys known to be revoked; `name`: of the component,
    where it is not the last part of the repository's.
    Raises: Untrusted("component-…" | "deploy-…"), Rejected("deploy-missing"), Unavailable("deploy-registry").
    """
    reference.check_version()
    manifest = registry.manifest(reference.digest or str(reference.tag))
    digest = sha256_digest(manifest)
    layer, standing = _component_layer(manifest), Standing(trust, now, revoked)
    pulled = _Pulled(registry, digest, registry.referrers(digest))
    signed = pulled.first(SIGNATURE_TYPE, "deploy-unsigned", lambda found: _signed(registry, found, layer, standing))
    _check_name(signed.manifest, name or reference.component)
    check_allowed(signed.manifest, trust)
    _check_origin(pulled, signed.manifest, reference.tag, standing)
    place = out or Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=place, prefix=".pulled-"))
    try:
        registry.download(layer.digest, layer.size, staged / signed.manifest.wasm_file)
        check_component(staged / signed.manifest.wasm_file, signed.manifest)
        directory = _place(pulled, signed, staged, out) if out else None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Verified(reference.at(digest), signed.manifest, directory)


@dataclass(frozen=True, slots=True)
class _Pulled:
    """A component's referrers, as the registry lists them."""

    registry: Registry
    subject: str
    listed: list[dict[str, Any]]

    def first(self, kind: str, missing: str, read: Callable[[list[Layer]], T]) -> T:
        """What `read` makes of the first referrer of this kind that it does not refuse.

        Raises: the last refusal; Untrusted(missing) if there is none of the kind.
        """
        refusal: Untrusted | Rejected = Untrusted(missing, f"nothing of type {kind} refers to this component")
        for digest in [entry["digest"] for entry in self.listed if entry.get("artifactType") == kind][:MAX_CANDIDATES]:
            try:
                return read(self._layers(digest, kind))
            except (Untrusted, Rejected) as error:
                refusal = error
        raise refusal

    def has(self, kind: str) -> bool:
        """Whether the registry lists one of this kind."""
        return any(entry.get("artifactType") == kind for entry in self.listed)

    def _layers(self, digest: str, kind: str) -> list[Layer]:
        value = _manifest_value(self.registry.manifest(digest, MAX_REFERRER_BYTES))
        subject = value.get("subject")
        about = subject.get("digest") if isinstance(subject, dict) else None
        _require(about == self.subject and value.get("artifactType") == kind, "a referrer is about something else")
        return _layers(value)


def _component_layer(manifest: bytes) -> Layer:
    value = _manifest_value(manifest)
    layers = _layers(value)
    config = value.get("config")
    _require(isinstance(config, dict) and config.get("mediaType") == WASM_CONFIG, f"expected a config {WASM_CONFIG}")
    _require(len(layers) == 1 and layers[0].media_type == WASM_LAYER, f"expected exactly one layer {WASM_LAYER}")
    _require(layers[0].size <= MAX_COMPONENT_BYTES, f"a component has at most {MAX_COMPONENT_BYTES} bytes")
    return layers[0]


def _signed(registry: Registry, layers: list[Layer], component: Layer, by: Standing) -> Signed:
    _require(len(layers) == 2, "a signature has two layers: the envelope and the manifest")
    envelope, data = (_small(registry, layer) for layer in layers)
    manifest = open_signed(data, envelope, by.trust, by.now, by.revoked)
    if manifest.component != component.digest:
        raise Untrusted("component-digest", "the signature is about another component than the one in the registry")
    return Signed(manifest, data, envelope)


def _check_name(manifest: ComponentManifest, expected: str) -> None:
    if manifest.name != expected:
        raise Untrusted("deploy-name", f"the registry answered with {manifest.name} where {expected} was asked for")


def _check_origin(pulled: _Pulled, manifest: ComponentManifest, version: str | None, by: Standing) -> None:
    """`version`: None where the component was asked for by digest alone, which has no other version."""
    registry = pulled.registry

    def named(layers: list[Layer]) -> Provenance:
        envelope = _small(registry, _only(layers))
        found = open_provenance(envelope, manifest, by.trust, by.now, by.revoked)
        if version not in (None, found.version):
            raise Untrusted("deploy-version", f"asked for {version}, and this component was signed as {found.version}")
        return found

    origin = pulled.first(PROVENANCE_TYPE, "deploy-provenance", named)

    def present(layers: list[Layer]) -> None:
        if sha256_digest(_small(registry, _only(layers))) != origin.sbom:
            raise Untrusted("deploy-sbom", "the bill of materials is another one than the provenance names")

    pulled.first(SBOM_TYPE, "deploy-sbom", present)


def _place(pulled: _Pulled, signed: Signed, staged: Path, out: Path) -> Path:
    """Complete the staged folder, then let it trade names with what is there."""
    write_atomically(staged / MANIFEST_FILE, signed.data)
    write_atomically(staged / SIGNATURE_FILE, signed.envelope)
    if pulled.has(NATIVE_TYPE):
        pulled.first(NATIVE_TYPE, "deploy-layout", lambda layers: _native(pulled.registry, layers, signed, staged))
    staged.chmod(0o755)
    place = out / signed.manifest.name
    if place.exists():
        exchange(staged, place)
    else:
        staged.rename(place)
    sync_directory(out)
    return place


def _native(registry: Registry, layers: list[Layer], signed: Signed, staged: Path) -> None:
    layer = _only(layers)
    if layer.digest != signed.manifest.compiled or layer.size > MAX_COMPONENT_BYTES:
        raise Untrusted("component-digest", f"{signed.manifest.compiled_file} is not the file that was signed")
    registry.download(layer.digest, layer.size, staged / signed.manifest.compiled_file)


def _small(registry: Registry, layer: Layer) -> bytes:
    _require(layer.size <= MAX_ENVELOPE_BYTES, f"expected at most {MAX_ENVELOPE_BYTES} bytes")
    return registry.blob(layer.digest, layer.size)


def _only(layers: list[Layer]) -> Layer:
    _require(len(layers) == 1, "expected exactly one layer")
    return layers[0]


def _manifest_value(data: bytes) -> dict[str, Any]:
    value = read_json_object(data, MAX_MANIFEST_BYTES)
    _require(value.get("mediaType") == IMAGE_MANIFEST, f"expected a manifest {IMAGE_MANIFEST}")
    return value


def _layers(value: dict[str, Any]) -> list[Layer]:
    try:
        layers = [Layer(entry["mediaType"], entry["digest"], entry["size"]) for entry in value["layers"]]
    except (KeyError, TypeError) as error:
        raise Untrusted("deploy-layout", "layers: expected descriptors") from error
    for layer in layers:
        named = isinstance(layer.media_type, str) and DIGEST.fullmatch(str(layer.digest))
        _require(bool(named) and type(layer.size) is int and layer.size >= 0, "layers: expected descriptors")
    return layers


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Untrusted("deploy-layout", message)
