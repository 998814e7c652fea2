"""From files on disk to a component that may run: signature, digests, imports, then native code.

    loaded = load_component(Path("build/components/personalization"), trust, now, revoked)

The directory is *not* trusted: a process that can write to it can at most stop this from loading. Steps, in order:

1. `manifest.sig` is by a component key of the trust file, valid now and not revoked, over exactly this `manifest.json`.
2. `<name>.wasm` has the digest the manifest says.
3. The imports the manifest admits are allowed for its world by the trust file.
4. `<name>.cwasm` is native code that would run unchecked, so it is copied into sealed anonymous memory, hashed through
   that same descriptor, and mapped from it: a file swapped or overwritten at any time has no effect on what runs.
5. What was mapped imports and exports what the manifest says.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wasmtime import WasmtimeError
from wasmtime.component import Component

from consent_core.errors import Untrusted
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE, ComponentManifest, open_manifest
from consent_core.trust.trust_file import TrustFile
from runtime_host.wasm.engine import engine_fingerprint, shared_engine
from runtime_host.wasm.sealed import sealed_copy

MAX_TEXT_BYTES = 4 * 1024 * 1024  # manifest and signature
MAX_COMPONENT_BYTES = 256 * 1024 * 1024  # a Python component is 20 MB, its native code 35 MB


@dataclass(frozen=True, slots=True)
class Seal:
    """`manifest.json` and `manifest.sig` as they were read: kept, so that a component is judged again while it runs."""

    data: bytes
    envelope: bytes

    def open(self, trust: TrustFile, now: int, revoked: frozenset[str]) -> ComponentManifest:
        """The manifest, if a key that counts now signed it. Raises: Untrusted("component-…")."""
        return open_signed(self.data, self.envelope, trust, now, revoked)


@dataclass(frozen=True, slots=True)
class LoadedComponent:
    """A verified component of `shared_engine`. `digest` names the `.wasm` it was compiled from."""

    manifest: ComponentManifest
    component: Component
    seal: Seal

    @property
    def name(self) -> str:
        """The function's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the component."""
        return self.manifest.component

    @property
    def world(self) -> str:
        """The finished component's world."""
        return self.manifest.world

    @property
    def category(self) -> tuple[str, ...]:
        """The categories whose signals it may see."""
        return self.manifest.category

    @property
    def memory_bytes(self) -> int:
        """Limit of each linear memory, in bytes."""
        return self.manifest.limits.memory_mib * 1024 * 1024

    @property
    def deadline_s(self) -> float:
        """Wall time one call may take, in seconds."""
        return self.manifest.limits.deadline_ms / 1000


def load_component(directory: Path, trust: TrustFile, now: int, revoked: frozenset[str]) -> LoadedComponent:
    """Verify a built component completely and map its native code. About 0.15 s for a Python function.

    Args:   now: Unix seconds at which its key must be valid.  revoked: keys that the log took away.
    Raises: Untrusted("component-…") naming the file that is at fault.
    """
    seal = Seal(_read(directory / MANIFEST_FILE), _read(directory / SIGNATURE_FILE))
    manifest = seal.open(trust, now, revoked)
    _check_digest(directory / manifest.wasm_file, manifest.component)
    check_allowed(manifest, trust)
    _check_engine(manifest)
    component = _map_native(directory / manifest.compiled_file, manifest)
    _check_surface(component, manifest)
    return LoadedComponent(manifest, component, seal)


def read_manifest(directory: Path, trust: TrustFile, now: int, revoked: frozenset[str]) -> ComponentManifest:
    """The manifest of a component directory, if a trusted key signed it. Raises: Untrusted."""
    return open_signed(_read(directory / MANIFEST_FILE), _read(directory / SIGNATURE_FILE), trust, now, revoked)


def open_signed(data: bytes, envelope: bytes, trust: TrustFile, now: int, revoked: frozenset[str]) -> ComponentManifest:
    """The manifest in `data`, if `envelope` is a trusted signature over it. Raises: Untrusted("component-…")."""
    try:
        return open_manifest(data, envelope, trust, now, revoked)
    except Untrusted as error:
        if error.code in {"component-manifest", "component-statement"}:
            raise
        raise Untrusted("component-signature", f"{SIGNATURE_FILE}: {error.message} ({error.code})") from error


def _read(path: Path) -> bytes:
    with _opened(path) as descriptor:
        if os.fstat(descriptor).st_size > MAX_TEXT_BYTES:
            raise Untrusted("component-manifest", f"{path.name} is larger than {MAX_TEXT_BYTES} bytes")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_TEXT_BYTES)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        remedy = f"--components names the folder, `edge build {path.parent.name}` makes it"
        raise Untrusted("component-missing", f"cannot open {path}: {error.strerror}; {remedy}") from error
    try:
        yield descriptor
    except OSError as error:
        raise Untrusted("component-missing", f"cannot read {path.name}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _check_digest(path: Path, expected: str) -> None:
    with _opened(path) as descriptor:
        _compare(path, _digest(descriptor), expected)


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise Untrusted("component-digest", f"{path.name} is not the file that was signed")


def _digest(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as file:
        file.seek(0)
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def check_allowed(manifest: ComponentManifest, trust: TrustFile) -> None:
    """Imports are admitted by WIT package, per world; a world without a name may import nothing.

    Raises: Untrusted("component-imports").
    """
    allowed = trust.allowed_imports.get(manifest.world, ())
    for name in manifest.imports:
        if name.partition("/")[0].partition("@")[0] not in allowed:
            raise Untrusted("component-imports", f"{manifest.wasm_file} imports {name}, which nobody allowed")


def _check_engine(manifest: ComponentManifest) -> None:
    if manifest.engine != engine_fingerprint():
        raise Untrusted(
            "component-engine",
            f"{manifest.compiled_file} was compiled for {manifest.engine!r}, this host is {engine_fingerprint()!r}",
        )


def _map_native(path: Path, manifest: ComponentManifest) -> Component:
    with _opened(path) as source, sealed_copy(source, path.name, MAX_COMPONENT_BYTES) as sealed:
        if sealed is None:
            raise Untrusted("component-digest", f"{path.name} is larger than {MAX_COMPONENT_BYTES} bytes")
        _compare(path, _digest(sealed), manifest.compiled)
        try:
            return Component.deserialize_file(shared_engine(), f"/proc/self/fd/{sealed}")
        except WasmtimeError as error:
            raise Untrusted("component-engine", f"{path.name} does not load in this engine: {error}") from error


def _check_surface(component: Component, manifest: ComponentManifest) -> None:
    """The native code must be of the component the manifest describes."""
    kind = component.type
    _same("component-imports", manifest, "imports", kind.imports(shared_engine()), manifest.imports)
    _same("component-exports", manifest, "exports", kind.exports(shared_engine()), manifest.exports)


def _same(code: str, manifest: ComponentManifest, what: str, found: Iterable[str], said: Iterable[str]) -> None:
    if set(found) != set(said):
        names = ", ".join(sorted(set(found) ^ set(said)))
        raise Untrusted(code, f"{manifest.compiled_file} has other {what} than {MANIFEST_FILE} says: {names}")
