"""A built component folder, verified: nothing that would be refused at load is deployed."""

from dataclasses import dataclass
from pathlib import Path

from builder.cache import digest_of
from builder.gate import surface_of
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE, ComponentManifest
from consent_core.trust.trust_file import TrustFile
from runtime_host.wasm.loading import check_allowed, read_manifest

HTTP_EXPORT = "wasi:http/incoming-handler"


@dataclass(frozen=True, slots=True)
class Release:
    """A component that a trusted key signed, in `directory`."""

    directory: Path
    manifest: ComponentManifest

    @property
    def component(self) -> Path:
        """The component file."""
        return self.directory / self.manifest.wasm_file

    @property
    def compiled(self) -> Path:
        """Its native code."""
        return self.directory / self.manifest.compiled_file

    @property
    def manifest_file(self) -> Path:
        """What both are."""
        return self.directory / MANIFEST_FILE

    @property
    def signature_file(self) -> Path:
        """The signature over the three."""
        return self.directory / SIGNATURE_FILE

    def imports(self, package: str) -> bool:
        """Whether it asks its host for anything of a WIT package such as `wasi:keyvalue`."""
        return any(name.split("/")[0] == package for name in self.manifest.imports)


def open_release(directory: Path, trust: TrustFile, now: int, revoked: frozenset[str]) -> Release:
    """The release in a component folder. Raises: Untrusted("component-…")."""
    manifest = read_manifest(directory, trust, now, revoked)
    check_allowed(manifest, trust)
    check_component(directory / manifest.wasm_file, manifest)
    return Release(directory, manifest)


def check_component(path: Path, manifest: ComponentManifest) -> None:
    """Return if the file is the signed component, and asks for what the manifest admits and nothing else.

    It is parsed, not run. Raises: Untrusted("component-digest" | "component-imports").
    """
    if digest_of(path) != manifest.component:
        raise Untrusted("component-digest", f"{manifest.wasm_file} is not the file that was signed")
    found = surface_of(path).imports
    if found != manifest.imports:
        names = ", ".join(sorted(set(found) ^ set(manifest.imports)))
        raise Untrusted(
            "component-imports", f"{manifest.wasm_file} has other imports than {MANIFEST_FILE} says: {names}"
        )


def check_serves_http(manifest: ComponentManifest) -> None:
    """Return if other hosts can serve it. Raises: Rejected("deploy-world")."""
    if not any(name.split("@")[0] == HTTP_EXPORT for name in manifest.exports):
        raise Rejected(
            "deploy-world",
            f"{manifest.name} exports no {HTTP_EXPORT}: only our own POPs and device agents run it (--target oci)",
        )
