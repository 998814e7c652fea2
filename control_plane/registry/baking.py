"""Bakes weights into a template, and bakes a release again to compare.

made = bake(Template.read(Path("build/components/personalization"), current), weights)
verify(release, template, weights)       # Untrusted("release-digest") unless it comes out the same
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.manifest import MANIFEST_FILE, ComponentManifest
from consent_core.formats.release import Release
from consent_core.formats.template import WEIGHTS, Places, baked, places_of, template_digest
from consent_core.privacy.clipping import Floats

SEED_LARGEST = 2.0
INT8 = 127  # the largest weight after baking; ranking does not depend on the scale


@dataclass(frozen=True, slots=True)
class Template:
    """A built component and where its weights lie, in the component and in its compiled form."""

    manifest: ComponentManifest
    component: bytes
    compiled: bytes
    places: tuple[Places, Places]

    @classmethod
    def read(cls, folder: Path, current: Mapping[str, bytes]) -> Self:
        """A component of which the weights are known. Raises: Unavailable, Untrusted("release-template")."""
        manifest, component, compiled = read_component(folder)
        return cls(manifest, component, compiled, (places_of(component, current), places_of(compiled, current)))

    @property
    def digest(self) -> str:
        """Of everything but the weights, in both forms."""
        parts = template_digest(self.component, self.places[0]), template_digest(self.compiled, self.places[1])
        return sha256_digest("\n".join(parts).encode())

    def bake(self, weights: Mapping[str, bytes]) -> tuple[bytes, bytes]:
        """Component and compiled form with these weights."""
        return baked(self.component, self.places[0], weights), baked(self.compiled, self.places[1], weights)


def read_component(folder: Path) -> tuple[ComponentManifest, bytes, bytes]:
    """Manifest, component, compiled form. Raises: Unavailable("release-unreadable")."""
    try:
        manifest = ComponentManifest.from_bytes((folder / MANIFEST_FILE).read_bytes())
        return manifest, (folder / manifest.wasm_file).read_bytes(), (folder / manifest.compiled_file).read_bytes()
    except OSError as error:
        raise Unavailable("release-unreadable", f"{folder.name}: {error.strerror}") from error


def whole_bytes(master: Floats) -> bytes:
    """Signed bytes of one model: its largest weight becomes 127."""
    largest = float(np.abs(master).max(initial=0.0))
    return np.rint(master * (INT8 / largest) if largest else master).astype(np.int8).tobytes()


def seed_master(row: bytes) -> Floats:
    """Weights of which only the bytes are known, as if the largest moved log odds by 2 (decision 193)."""
    return np.frombuffer(row, np.int8).astype(float) * (SEED_LARGEST / INT8)


def pack_master(master: Mapping[str, Floats]) -> bytes:
    """`master.bin`: the models' weights as 64-bit floats, by name."""
    return b"".join(row.astype("<f8").tobytes() for _, row in sorted(master.items()))


def unpack_master(data: bytes, models: tuple[str, ...]) -> dict[str, Floats]:
    """What `pack_master` made. Raises: Untrusted("release-digest") for another length."""
    if len(data) != 8 * WEIGHTS * len(models):
        raise Untrusted("release-digest", f"expected {WEIGHTS} floats for each of {len(models)} models")
    return dict(zip(sorted(models), np.frombuffer(data, "<f8").astype(float).reshape(-1, WEIGHTS), strict=True))


def pack(weights: Mapping[str, bytes]) -> bytes:
    """`weights.bin`: the models' bytes, by name."""
    return b"".join(row for _, row in sorted(weights.items()))


def unpack(data: bytes, models: tuple[str, ...]) -> dict[str, bytes]:
    """What `pack` made. Raises: Untrusted("release-digest") for another length."""
    if len(data) != WEIGHTS * len(models):
        raise Untrusted("release-digest", f"expected {WEIGHTS} bytes for each of {len(models)} models")
    return {model: data[WEIGHTS * n : WEIGHTS * (n + 1)] for n, model in enumerate(sorted(models))}


def verify(release: Release, component: bytes, compiled: bytes, weights: Mapping[str, bytes]) -> None:
    """Bake the release's weights into any component of its template and compare every digest.

    Raises: Untrusted("release-template") for another template, Untrusted("release-digest") for another result.
    """
    template = template_digest(component, release.places[0]), template_digest(compiled, release.places[1])
    if sha256_digest("\n".join(template).encode()) != release.template:
        raise Untrusted("release-template", "the component is not of this release's template")
    made = baked(component, release.places[0], weights), baked(compiled, release.places[1], weights)
    digests = (sha256_digest(made[0]), sha256_digest(made[1]), sha256_digest(pack(weights)))
    if digests != (release.component, release.compiled, release.weights):
        raise Untrusted("release-digest", "baked again, the release comes out with other bytes")
