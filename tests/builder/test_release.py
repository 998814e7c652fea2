"""A release appears whole: signed, in place, and never as a mixture of two."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.cache import BuildCache, digest_of
from builder.release import exchange, publish
from consent_core.errors import Untrusted
from consent_core.formats.manifest import ComponentManifest, Limits, open_manifest
from consent_core.trust.keys import KeyStore
from tests.builder.test_cache import stored
from tests.conftest import ROOT

FILES = {"demo.wasm", "demo.cwasm", "manifest.json", "manifest.sig"}


def released(directory: Path, content: bytes) -> Path:
    """One release of `content` under `directory`/out."""
    entry = stored(BuildCache(directory / "cache"), content.hex(), content)
    manifest = ComponentManifest(
        name="demo",
        world="edge-personalization",
        component=entry.component,
        compiled=entry.compiled,
        engine="test",
        imports=(),
        exports=(),
        category=(),
        limits=Limits(64, 100),
        sources={},
        lock="",
        tools={},
    )
    store = KeyStore.open(directory, create=True)
    return publish(entry, manifest, store.current("component"), directory / "out")


def check(directory: Path) -> bytes:
    """Verify the release completely and return the content of its component."""
    place = directory / "out" / "demo"
    trust = KeyStore.open(directory).trust_file()
    manifest = open_manifest(
        (place / "manifest.json").read_bytes(),
        (place / "manifest.sig").read_bytes(),
        trust,
        now=int(time.time()),
        revoked=frozenset(),
    )
    assert digest_of(place / "demo.wasm") == manifest.component
    assert digest_of(place / "demo.cwasm") == manifest.compiled
    return (place / "demo.wasm").read_bytes()


def test_a_release_is_four_files_signed_together(tmp_path: Path) -> None:
    """Component, native code, manifest and signature belong to each other."""
    place = released(tmp_path, b"one")

    assert {path.name for path in place.iterdir()} == FILES
    assert check(tmp_path) == b"one"


def test_the_next_release_replaces_all_of_it(tmp_path: Path) -> None:
    """Nothing of the old one stays behind."""
    released(tmp_path, b"one")
    place = released(tmp_path, b"two")

    assert check(tmp_path) == b"two"
    assert {path.name for path in place.iterdir()} == FILES
    assert {path.name for path in place.parent.iterdir()} == {"demo", ".lock"}


def test_an_unchanged_release_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written where everything is right."""
    before = released(tmp_path, b"one").stat().st_ino

    assert released(tmp_path, b"one").stat().st_ino == before


@pytest.mark.parametrize("name", sorted(FILES))
def test_damage_is_repaired_by_the_next_build(tmp_path: Path, name: str) -> None:
    """A flipped byte or a missing file in the release is put right from the cache, which it never reaches."""
    place = released(tmp_path, b"one")
    data = (place / name).read_bytes()

    (place / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    released(tmp_path, b"one")
    assert check(tmp_path) == b"one"

    (place / name).unlink()
    released(tmp_path, b"one")
    assert check(tmp_path) == b"one"


def test_a_new_key_signs_again(tmp_path: Path) -> None:
    """After a rotation the same component carries the new key's signature."""
    released(tmp_path, b"one")
    KeyStore.open(tmp_path).rotate("component", overlap_s=60)
    place = released(tmp_path, b"one")

    current = KeyStore.open(tmp_path).current("component")
    assert current.kid.encode() in (place / "manifest.sig").read_bytes()
    assert check(tmp_path) == b"one"


CRASHES = {
    "build-finished": b"one",
    "build-cached": b"one",
    "release-staging": b"one",
    "release-staged": b"one",
    "release-exchanged": b"two",
}


@pytest.mark.parametrize(("point", "stands"), CRASHES.items())
def test_crash_leaves_one_release_or_the_other(tmp_path: Path, point: str, stands: bytes) -> None:
    """Killed at any named line, what stands is complete and signed; the next build ends clean."""
    released(tmp_path, b"one")
    script = f"from tests.builder.test_release import *; released(Path({str(tmp_path)!r}), b'two')"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "CONSENT_EDGE_CRASH": point}, check=False
    )

    assert done.returncode == -signal.SIGKILL
    assert check(tmp_path) == stands
    released(tmp_path, b"two")
    assert check(tmp_path) == b"two"
    assert list(tmp_path.glob("*/.staged-*")) == list(tmp_path.glob("*/.building-*")) == []


def test_exchanging_is_one_step_and_says_when_it_cannot(tmp_path: Path) -> None:
    """Two folders trade names; a missing one is an error, not a loss."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()

    exchange(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "a" / "b").exists()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "missing")
    assert (tmp_path / "a" / "b").exists()


def test_a_signature_of_another_release_is_refused(tmp_path: Path) -> None:
    """Old signature, new manifest: not a release."""
    place = released(tmp_path, b"one")
    old = (place / "manifest.sig").read_bytes()
    released(tmp_path, b"two")
    (place / "manifest.sig").write_bytes(old)

    with pytest.raises(Untrusted, match=r"about another manifest\.json"):
        check(tmp_path)
