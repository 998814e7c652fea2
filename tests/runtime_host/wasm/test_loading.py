"""Nothing runs that a trusted key did not sign, and nothing else runs after it was checked."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from consent_core.decision.contract import (
    PERSONALIZATION_INTERFACE,
    Candidate,
    Ok,
    Signals,
)
from consent_core.errors import Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.manifest import ComponentManifest, Limits, sign_manifest
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile
from runtime_host.wasm import loading
from runtime_host.wasm.engine import compile_component, engine_fingerprint
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import MIB, SandboxPool
from runtime_host.wasm.sealed import LARGE_PAGE, collect_pages, sealed_copy
from tests.keys_in_time import SITUATIONS, Rotated, refusals
from tests.runtime_host.wasm import guests

NAME = "personalization"
WASM, CWASM = f"{NAME}.wasm", f"{NAME}.cwasm"
ARGUMENTS = ("slot", Signals(), (Candidate("asset", (), ("Copy",)),), 3)


def _manifest(wasm: bytes, compiled: bytes) -> ComponentManifest:
    return ComponentManifest(
        name=NAME,
        world="edge-personalization",
        component=sha256_digest(wasm),
        compiled=sha256_digest(compiled),
        engine=engine_fingerprint(),
        imports=(),
        exports=(PERSONALIZATION_INTERFACE,),
        category=("contextual",),
        limits=Limits(memory_mib=32, deadline_ms=100),
        sources={},
        lock="",
        tools={},
    )


class Release:
    """A signed component directory that a test may spoil."""

    def __init__(self, directory: Path, store: KeyStore) -> None:
        self.directory = directory
        self.store = store
        self.trust = store.trust_file()
        self.wasm = guests.counting()
        self.compiled = compile_component(self.wasm)
        self.manifest = _manifest(self.wasm, self.compiled)
        self.publish(self.manifest)

    def publish(self, manifest: ComponentManifest, store: KeyStore | None = None) -> None:
        """Write all four files, signed by the store's component key."""
        self.write(WASM, self.wasm)
        self.write(CWASM, self.compiled)
        self.write("manifest.json", manifest.to_bytes())
        self.write("manifest.sig", sign_manifest(manifest, (store or self.store).current("component")))

    def write(self, name: str, data: bytes) -> None:
        (self.directory / name).write_bytes(data)

    def flip(self, name: str) -> None:
        """Change one bit in the middle of a file."""
        data = bytearray((self.directory / name).read_bytes())
        data[len(data) // 2] ^= 1
        self.write(name, bytes(data))

    def refusal(self, trust: TrustFile | None = None) -> Untrusted:
        """The refusal to load."""
        with pytest.raises(Untrusted) as refusal:
            load_component(self.directory, trust or self.trust, now=0, revoked=frozenset())
        return refusal.value


@pytest.fixture
def release(tmp_path: Path) -> Release:
    (tmp_path / NAME).mkdir()
    return Release(tmp_path / NAME, KeyStore.open(tmp_path / "keys", create=True))


def test_a_signed_component_loads_and_runs(release: Release) -> None:
    """Name, digest and limits are the manifest's."""
    loaded = load_component(release.directory, release.trust, now=0, revoked=frozenset())

    assert (NAME, release.manifest.component) == (loaded.name, loaded.digest)
    assert (loaded.memory_bytes, loaded.deadline_s) == (32 * 1024 * 1024, 0.1)
    assert isinstance(SandboxPool(loaded).call(*ARGUMENTS), Ok)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        (WASM, {"component-digest"}),
        (CWASM, {"component-digest"}),
        ("manifest.json", {"component-statement"}),
        ("manifest.sig", {"component-signature", "component-statement"}),
    ],
)
def test_a_flipped_bit_is_refused_by_name(release: Release, name: str, codes: set[str]) -> None:
    """The refusal says which file is not the one that was signed."""
    release.flip(name)

    refusal = release.refusal()

    assert refusal.code in codes
    assert name in refusal.message


@pytest.mark.parametrize("name", [WASM, CWASM, "manifest.json", "manifest.sig"])
def test_a_missing_file_is_refused_by_name(release: Release, name: str) -> None:
    """No file is optional, least of all the signature."""
    (release.directory / name).unlink()

    refusal = release.refusal()

    assert refusal.code == "component-missing"
    assert name in refusal.message


@pytest.mark.parametrize("name", [WASM, CWASM, "manifest.json", "manifest.sig"])
def test_a_directory_in_place_of_a_file_is_refused_by_name(release: Release, name: str) -> None:
    """Reading fails after opening has worked: still our own error."""
    (release.directory / name).unlink()
    (release.directory / name).mkdir()

    assert name in release.refusal().message


def test_every_bit_of_the_signature_matters(release: Release) -> None:
    """Flip each byte of `manifest.sig` in turn: none of the results loads."""
    good = (release.directory / "manifest.sig").read_bytes()
    for at in range(0, len(good), 7):
        release.write("manifest.sig", good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert release.refusal().code in {"component-signature", "component-statement", "component-manifest"}


def test_somebody_elses_signature_is_refused(release: Release, tmp_path: Path) -> None:
    """A perfect release of a key that is not in the trust file."""
    release.publish(release.manifest, KeyStore.open(tmp_path / "foreign", create=True))

    refusal = release.refusal()

    assert refusal.code == "component-signature"
    assert "manifest.sig" in refusal.message


def test_a_signature_over_another_component_is_refused(release: Release) -> None:
    """The signature of yesterday's release beside today's files."""
    other = replace(release.manifest, lock="sha256:" + "0" * 64)
    release.write("manifest.sig", sign_manifest(other, release.store.current("component")))

    assert release.refusal().code == "component-statement"


def test_signed_native_code_of_another_component_is_refused_by_its_digest(release: Release) -> None:
    """`.cwasm` and `.wasm` are bound to each other by one manifest."""
    release.write(CWASM, compile_component(guests.remembering()))

    assert release.refusal().code == "component-digest"


SOCKETS = "wasi:sockets/tcp@0.2.9"


def _open_sockets(release: Release, admitted: tuple[str, ...]) -> None:
    """Publish a component that imports sockets, under a manifest that admits these imports."""
    wit = "package wasi:sockets@0.2.9; interface tcp { now: func() -> u32; } world open { import tcp; }"
    release.wasm = guests.component(f"""(module (import "{SOCKETS}" "now" (func (result i32))))""", wit, "open")
    release.compiled = compile_component(release.wasm)
    release.publish(replace(_manifest(release.wasm, release.compiled), imports=admitted, exports=()))


@pytest.mark.parametrize("allowed", [(), ("wasi:io",), ("wasi",), ("wasi:sock",)])
def test_an_import_that_nobody_allowed_is_refused(release: Release, allowed: tuple[str, ...]) -> None:
    """Even an honest, signed manifest cannot admit more than the trust file grants the world."""
    _open_sockets(release, (SOCKETS,))

    refusal = release.refusal(replace(release.trust, allowed_imports={"edge-personalization": allowed}))

    assert refusal.code == "component-imports"
    assert SOCKETS in refusal.message


def test_an_import_that_is_allowed_loads_but_gets_no_sandbox(release: Release) -> None:
    """Loading is also for components that other hosts run; this host's sandboxes give no imports."""
    _open_sockets(release, (SOCKETS,))
    trust = replace(release.trust, allowed_imports={"edge-personalization": ("wasi:sockets",)})

    loaded = load_component(release.directory, trust, now=0, revoked=frozenset())

    with pytest.raises(Untrusted, match="a sandbox gives no imports"):
        SandboxPool(loaded)


def test_an_import_the_manifest_conceals_is_refused(release: Release) -> None:
    """What counts is what the native code asks for, not what its manifest says."""
    _open_sockets(release, ())

    assert release.refusal().code == "component-imports"


def test_an_export_the_manifest_conceals_is_refused(release: Release) -> None:
    """The manifest describes the component completely."""
    release.publish(replace(release.manifest, exports=()))

    assert release.refusal().code == "component-exports"


def test_code_for_another_engine_is_refused_with_both_names(release: Release) -> None:
    """After an upgrade of wasmtime the message says that the component wants building again."""
    release.publish(replace(release.manifest, engine="wasmtime 49.0.0; x86_64-unknown-linux-gnu; epoch interruption"))

    refusal = release.refusal()

    assert refusal.code == "component-engine"
    assert "49.0.0" in refusal.message
    assert engine_fingerprint() in refusal.message


def test_signed_rubbish_in_place_of_native_code_is_refused(release: Release) -> None:
    """The engine's own refusal comes out as ours."""
    release.compiled = b"not native code"
    release.publish(_manifest(release.wasm, release.compiled))

    assert release.refusal().code == "component-engine"


def test_a_file_overwritten_after_loading_has_no_effect(release: Release) -> None:
    """Mapped straight from the file, the new bytes would run; from sealed memory they cannot."""
    loaded = load_component(release.directory, release.trust, now=0, revoked=frozenset())
    pool = SandboxPool(loaded)
    with (release.directory / CWASM).open("r+b") as file:
        file.write(b"\0" * os.fstat(file.fileno()).st_size)
    shutil.rmtree(release.directory)

    assert isinstance(pool.call(*ARGUMENTS), Ok)


def test_a_file_swapped_between_check_and_use_has_no_effect(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may change after it was copied: what is hashed and what is mapped are the same bytes."""
    evil = compile_component(guests.remembering())
    hash_first = loading._digest

    def hash_then_swap(descriptor: int) -> str:
        digest = hash_first(descriptor)
        release.write(CWASM, evil)
        return digest

    monkeypatch.setattr(loading, "_digest", hash_then_swap)
    # The first digest is of the `.wasm`; by then the `.cwasm` is not open yet, so the swap shows.
    assert release.refusal().code == "component-digest"

    release.publish(release.manifest)
    monkeypatch.setattr(loading, "_check_digest", lambda *_: None)
    loaded = load_component(release.directory, release.trust, now=0, revoked=frozenset())

    assert SandboxPool(loaded).call(*ARGUMENTS).value.propensity == 1


def test_good_bytes_put_back_before_the_check_do_not_help(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad bytes on disk while they are copied, the signed ones again when they are hashed: the copy is what counts."""
    hash_copy = loading._digest

    def restore_then_hash(descriptor: int) -> str:
        release.write(CWASM, release.compiled)
        return hash_copy(descriptor)

    release.write(CWASM, compile_component(guests.remembering()))
    monkeypatch.setattr(loading, "_check_digest", lambda *_: None)
    monkeypatch.setattr(loading, "_digest", restore_then_hash)

    assert release.refusal().code == "component-digest"


def test_the_copy_is_sealed(release: Release) -> None:
    """Not even this process can change the bytes between hashing and mapping."""
    path = release.directory / CWASM
    with loading._opened(path) as source, sealed_copy(source, path.name, MIB) as sealed:
        assert sealed is not None
        attempts: list[Callable[[], object]] = [
            lambda: os.pwrite(sealed, b"x", 0),
            lambda: os.ftruncate(sealed, 1),
            lambda: os.ftruncate(sealed, 10**8),
        ]
        for attempt in attempts:
            with pytest.raises(OSError, match="not permitted"):
                attempt()


@pytest.mark.parametrize("size", [0, 1, 4096, LARGE_PAGE - 1, LARGE_PAGE, 3 * LARGE_PAGE + 5])
def test_large_pages_change_no_byte(tmp_path: Path, size: int) -> None:
    """With large pages or without, what is read is what was copied, and nothing stays mapped."""
    (tmp_path / "code").write_bytes(data := os.urandom(size))
    with (tmp_path / "code").open("rb") as file, sealed_copy(file.fileno(), "collected", 4 * LARGE_PAGE) as sealed:
        assert sealed is not None
        collect_pages(sealed)

        assert os.pread(sealed, size + 1, 0) == data
        assert "memfd:collected" not in Path("/proc/self/maps").read_text()


def test_a_file_that_is_too_large_is_not_copied_whole(tmp_path: Path) -> None:
    """Neither is its beginning handed out."""
    (tmp_path / "code").write_bytes(b"12345")
    for most, fits in ((5, False), (6, True)):
        with (tmp_path / "code").open("rb") as file, sealed_copy(file.fileno(), "code", most) as sealed:
            assert (sealed is not None) is fits


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_component_by_a_key_outside_its_time_does_not_load(release: Release, tmp_path: Path, situation: str) -> None:
    """At load, and again whenever the loaded component is asked whether it still counts."""
    rotated = Rotated.of(tmp_path / "rotated", "component")
    release.write("manifest.sig", sign_manifest(release.manifest, rotated.key))
    code, *standing = refusals(rotated)[situation]
    loaded = load_component(release.directory, *rotated.good)

    loaded.seal.open(*rotated.good)
    with pytest.raises(Untrusted, match=code):
        load_component(release.directory, *standing)
    with pytest.raises(Untrusted, match=code):
        loaded.seal.open(*standing)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_a_text_beyond_the_limit_is_not_read(name: str, release: Release) -> None:
    """A writer of the directory cannot make a starting POP hold any amount."""
    with (release.directory / name).open("r+b") as file:
        file.truncate(loading.MAX_TEXT_BYTES + 1)

    refused = release.refusal()

    assert (refused.code, "is larger than" in refused.message) == ("component-manifest", True)


def test_native_code_beyond_the_limit_is_not_copied(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy in memory is bounded, by any file in the directory."""
    monkeypatch.setattr(loading, "MAX_COMPONENT_BYTES", len(release.compiled) - 1)

    refused = release.refusal()

    assert (refused.code, "is larger than" in refused.message) == ("component-digest", True)
