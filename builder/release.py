"""Put a built component in its place, signed: the four files of `build/components/<name>/` change all at once.

The new folder is complete and on disk before it trades names with the old one (Linux `renameat2`), so a reader,
and a builder that is killed, sees one release or the other.
"""

import ctypes
import errno
import os
import shutil
import tempfile
from pathlib import Path

from builder.cache import COMPILED, COMPONENT, Entry, digest_of
from consent_core.crash import crash_point
from consent_core.formats.dsse import Signer
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE, ComponentManifest, sign_manifest
from consent_core.trust.files import locked, sync_directory, write_atomically

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_STAGED = ".staged-"


def publish(entry: Entry, manifest: ComponentManifest, signer: Signer, out: Path) -> Path:
    """The release's folder under `out`, written only where it differs from what is there."""
    place = out / manifest.name
    signature = sign_manifest(manifest, signer)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for leftover in out.glob(f"{_STAGED}*"):  # of a builder that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if not _in_place(place, manifest, signature):
            _swap_in(_stage(entry, manifest, signature, out), place)
    return place


def _in_place(place: Path, manifest: ComponentManifest, signature: bytes) -> bool:
    """Whether exactly this release is there. Ed25519 signs the same bytes alike, so signatures compare."""
    try:
        described = (place / MANIFEST_FILE).read_bytes() == manifest.to_bytes()
        signed = (place / SIGNATURE_FILE).read_bytes() == signature
    except OSError:
        return False
    files = ((manifest.wasm_file, manifest.component), (manifest.compiled_file, manifest.compiled))
    return described and signed and all(digest_of(place / name) == digest for name, digest in files)


def _stage(entry: Entry, manifest: ComponentManifest, signature: bytes, out: Path) -> Path:
    """A complete copy beside its destination; copies, so that damage to a release never reaches the cache."""
    staged = Path(tempfile.mkdtemp(dir=out, prefix=_STAGED))
    staged.chmod(0o755)
    shutil.copyfile(entry.directory / COMPONENT, staged / manifest.wasm_file)
    crash_point("release-staging")
    shutil.copyfile(entry.directory / COMPILED, staged / manifest.compiled_file)
    write_atomically(staged / MANIFEST_FILE, manifest.to_bytes())
    write_atomically(staged / SIGNATURE_FILE, signature)
    return staged


def _swap_in(staged: Path, place: Path) -> None:
    crash_point("release-staged")
    if place.exists():
        exchange(staged, place)
        crash_point("release-exchanged")
        shutil.rmtree(staged)
    else:
        staged.rename(place)
    sync_directory(place.parent)


def exchange(first: Path, second: Path) -> None:
    """Let two paths trade names in one step. Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not libc.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), str(second))
    aside = first.with_name(f"{first.name}-aside")  # a file system without exchange: two steps, the first reversible
    second.rename(aside)
    first.rename(second)
    aside.rename(first)
