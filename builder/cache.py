"""Built components by the digest of everything they depend on: sources, contract, lock file, tools, engine.

    ~/.cache/consent-edge/functions/<key>/component.wasm  component.cwasm  bare.wasm  entry.json

`bare.wasm` is what componentize-py made, before any finishing step: tests compare the two, and debugging starts there.

An entry appears whole (built beside, then renamed) or not at all. Trust in this store: a process that can write it can
change what the next build signs, so it belongs to its user alone; damage by accident is seen by the digests. All
projects of a user share it: what one has built, the next one's first build finds.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from builder import finish, gate, toolchain
from builder.finish import Finished
from builder.source import FunctionSource
from consent_core.crash import crash_point
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.trust.files import locked
from runtime_host.wasm import exports
from runtime_host.wasm.engine import engine_fingerprint

MAX_ENTRIES = 32  # of about 65 MB each; beyond it the least recently used go
COMPONENT, COMPILED, ENTRY = "component.wasm", "component.cwasm", "entry.json"
BARE = "bare.wasm"
_BUILDING = ".building-"

# A change to how tools are called, to a finishing step, to the requests an image is taken after, or to what the gate
# records makes other entries of the same sources.
_RECIPES = [Path(str(module.__file__)) for module in (toolchain, gate, exports)]
_RECIPES += sorted(Path(str(finish.__file__)).parent.glob("*.py"))
_RECIPE = sha256_digest(b"".join(path.read_bytes() for path in _RECIPES))


@dataclass(frozen=True, slots=True)
class Entry:
    """One built component in the cache. Digests are of its two files. `finished`: the steps after componentize-py."""

    directory: Path
    component: str
    compiled: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    finished: Finished

    def to_json(self) -> dict[str, Any]:
        """What `find` reads back."""
        return {
            "component": self.component,
            "compiled": self.compiled,
            "imports": self.imports,
            "exports": self.exports,
            "steps": self.finished.steps,
            "refused": dict(self.finished.refused),
        }

    def intact(self) -> bool:
        """Whether both files still are what was built."""
        return self.component == digest_of(self.directory / COMPONENT) and self.compiled == digest_of(
            self.directory / COMPILED
        )


def cache_key(function: FunctionSource, lock: str, composed: Mapping[str, str]) -> str:
    """Hex digest of all that goes into a component. `composed`: name -> key of each component put inside."""
    parts = {
        "toml": sha256_digest(function.toml),
        "wasi": function.wasi,
        "files": {path: sha256_digest(data) for path, data in function.files.items()},
        "wit": {path: sha256_digest(data) for path, data in function.wit.items()},
        "lock": lock,
        "tools": dict(toolchain.tool_versions()),
        "engine": engine_fingerprint(),
        "recipe": _RECIPE,
        "composed": dict(composed),
    }
    return sha256_digest(canonical_json(parts)).removeprefix("sha256:")


def user_cache(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's builds are kept; below `root` where there is no home, or one that others may write to."""
    own = root / "build" / "cache"
    try:
        base = Path(environment.get("XDG_CACHE_HOME", ""))
        place = (base if base.is_absolute() else Path(environment["HOME"]) / ".cache") / "consent-edge" / "functions"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = place.stat()
    except (OSError, KeyError):
        return own
    private = found.st_uid == os.getuid() and not found.st_mode & 0o022
    return place if private and os.access(place, os.W_OK) else own


class BuildCache:
    """The cache directory. Several processes may share it: one builds a key, the others wait for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def find(self, key: str) -> Entry | None:
        """The entry of that key, if it is there."""
        directory = self.directory / key
        try:
            os.utime(directory)
            value = json.loads((directory / ENTRY).read_text(encoding="utf-8"))
            finished = Finished(tuple(value["steps"]), dict(value["refused"]))
            surface = tuple(value["imports"]), tuple(value["exports"])
            return Entry(directory, value["component"], value["compiled"], *surface, finished)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def discard(self, key: str) -> None:
        """Forget an entry."""
        shutil.rmtree(self.directory / key, ignore_errors=True)

    @contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """A work directory for one key, held against other builders; what `store` was not called on is dropped."""
        lock = self.directory / f".lock-{key}"
        lock.mkdir(exist_ok=True)
        with locked(lock):
            work = Path(tempfile.mkdtemp(dir=self.directory, prefix=f"{_BUILDING}{os.getpid()}-"))
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def store(self, key: str, component: Path, compiled: Path, surface: gate.Surface, finished: Finished) -> Entry:
        """Move finished files into the cache, whole or not at all: these two, and `bare.wasm` if it lies beside."""
        staged = Path(tempfile.mkdtemp(dir=self.directory, prefix=f"{_BUILDING}{os.getpid()}-"))
        component.replace(staged / COMPONENT)
        compiled.replace(staged / COMPILED)
        if (bare := component.with_name(BARE)).exists():
            bare.replace(staged / BARE)
        digests = digest_of(staged / COMPONENT), digest_of(staged / COMPILED)
        entry = Entry(self.directory / key, *digests, surface.imports, surface.exports, finished)
        (staged / ENTRY).write_bytes(canonical_json(entry.to_json()))
        crash_point("build-finished")
        self.discard(key)
        staged.rename(entry.directory)
        crash_point("build-cached")
        self._forget_old()
        return entry

    def _forget_old(self) -> None:
        entries = sorted(self.directory.glob(f"*/{ENTRY}"), key=lambda path: path.parent.stat().st_mtime)
        for path in entries[:-MAX_ENTRIES]:
            self.discard(path.parent.name)

    def _sweep(self) -> None:
        """Remove what builders that no longer run left behind."""
        for path in self.directory.glob(f"{_BUILDING}*"):
            if not _alive(path.name.removeprefix(_BUILDING).partition("-")[0]):
                shutil.rmtree(path, ignore_errors=True)


def digest_of(path: Path) -> str:
    """`sha256:…` of a file, "" when it cannot be read."""
    try:
        with path.open("rb") as file:
            return f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return ""


def _alive(pid: str) -> bool:
    return Path("/proc", pid).is_dir()
