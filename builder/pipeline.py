"""The order of a build: lint, componentize, finish, compose, gate, compile, sign. From the cache: sign.

Two functions at a time: every heavy step is a process of its own, the threads here only wait for them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder import toolchain
from builder.cache import BARE, COMPONENT, BuildCache, Entry, cache_key, user_cache
from builder.finish import Finished, finish
from builder.finish.steps import LINK
from builder.gate import LEFTOVER_EXPORTS, Surface, check_imports, check_pinned, pass_gate
from builder.guest_lint import check_guest
from builder.release import publish
from builder.source import FunctionSource, find_function, function_names, guest_files, roots
from consent_core.errors import Rejected
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.dsse import Signer
from consent_core.formats.manifest import ComponentManifest
from consent_core.trust.trust_file import ALLOWED_IMPORTS, TrustFile
from runtime_host.wasm.engine import engine_fingerprint

WORKERS = 2
LOCK_FILE = "requirements.lock"
STAGES = ("lint", "componentize", "finish", "compose", "gate", "compile", "sign", "done")

Progress = Callable[[str, str], None]  # (function, stage); called from several threads


@dataclass(frozen=True, slots=True)
class BuildResult:
    """One function, built. Sizes in bytes; `cached`: nothing had to be made. `refused`: steps left out, and why.

    `bare`: the component as componentize-py made it, in the cache.
    """

    name: str
    directory: Path
    manifest: ComponentManifest
    size: int
    compiled_size: int
    seconds: float
    cached: bool
    bare: Path
    refused: Mapping[str, str] = field(default_factory=dict)


def buildable(root: Path) -> tuple[str, ...]:
    """The functions that become components of their own; those composed into others (Zig) do not.

    A component built on WASI is for other hosts: it is built when it is named.
    """
    places = roots(root)
    found = (find_function(name, places) for name in function_names(places))
    return tuple(function.name for function in found if function.language == "python" and not function.wasi)


def build(
    names: Sequence[str] = (),
    *,
    root: Path,
    signer: Signer,
    out: Path | None = None,
    cache: Path | None = None,
    trust: TrustFile | None = None,
    progress: Progress = lambda _name, _stage: None,
) -> list[BuildResult]:
    """Build, sign and place the named functions (default: all) into `out` (default `root/build/components`).

    `trust` says what each world may import; `cache` defaults to this user's, which all projects share.
    Raises: Rejected("build-…") for a function that is not in order, Unavailable("build-tool").
    """
    workshop = _Workshop(
        root,
        out or root / "build" / "components",
        BuildCache(cache or user_cache(root)),
        signer,
        trust,
        progress,
    )
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="build") as pool:
        return list(pool.map(workshop.build, dict.fromkeys(names or buildable(root))))


class _Workshop:
    """What all builds of one run share."""

    def __init__(
        self, root: Path, out: Path, cache: BuildCache, signer: Signer, trust: TrustFile | None, progress: Progress
    ) -> None:
        self._places = roots(root)
        self._out = out
        self._cache = cache
        self._signer = signer
        self._allowed = trust.allowed_imports if trust else ALLOWED_IMPORTS
        self._progress = progress
        locks = [place / LOCK_FILE for place in self._places if (place / LOCK_FILE).is_file()]
        self._lock = sha256_digest(locks[0].read_bytes()) if locks else ""

    def build(self, name: str) -> BuildResult:
        """One function from source to signed release."""
        started = time.monotonic()
        function = find_function(name, self._places)
        if function.language != "python":
            raise Rejected("build-source", f"{name} is composed into other components, it is none of its own")
        entry, cached = self._component(function)
        check_imports(name, entry.imports, self._allowed.get(function.finished_world, ()))
        self._progress(name, "sign")
        manifest = self._manifest(function, entry)
        place = publish(entry, manifest, self._signer, self._out)
        self._progress(name, "done")
        return BuildResult(
            name=name,
            directory=place,
            manifest=manifest,
            size=(place / manifest.wasm_file).stat().st_size,
            compiled_size=(place / manifest.compiled_file).stat().st_size,
            seconds=time.monotonic() - started,
            cached=cached,
            bare=entry.directory / BARE,
            refused=entry.finished.refused,
        )

    def _component(self, function: FunctionSource) -> tuple[Entry, bool]:
        """The component of a function, from the cache or made now, and whether it was there."""
        key = self._key(function)
        with self._cache.building(key) as work:
            entry = self._cache.find(key)
            if entry is not None and entry.intact():
                return entry, True
            return self._make(function, key, work), False

    def _key(self, function: FunctionSource) -> str:
        inside = (*self._composed(function), *self._included(function))
        return cache_key(function, self._lock, {inner.name: self._key(inner) for inner in inside})

    def _composed(self, function: FunctionSource) -> list[FunctionSource]:
        """What is put inside; for other hosts, without instructions that only our engine runs."""
        found = (find_function(name, self._places) for name in function.compose)
        return [replace(inner, wasi=function.wasi) for inner in found]

    def _included(self, function: FunctionSource) -> list[FunctionSource]:
        return [find_function(name, self._places) for name in function.include]

    def _make(self, function: FunctionSource, key: str, work: Path) -> Entry:
        wit = _write(work / "wit", function.wit)
        component = work / f"{function.name}.wasm"
        make = self._make_zig if function.language == "zig" else self._make_python
        surface, finished = make(function, wit, component)
        self._progress(function.name, "compile")
        compiled = work / f"{function.name}.cwasm"
        toolchain.compile_native(component, compiled)
        entry = self._cache.store(key, component, compiled, surface, finished)
        if function.language == "zig":  # an ingredient: nothing is signed
            self._progress(function.name, "done")
        return entry

    def _make_zig(self, function: FunctionSource, wit: Path, component: Path) -> tuple[Surface, Finished]:
        sources = _write(component.parent / "zig", function.files)
        zig_cache = self._cache.directory / "zig"
        source = sources / f"{function.name}.zig"
        toolchain.compile_zig(source, wit, function.world, component, zig_cache, portable=function.wasi)
        return pass_gate(component, wit, function.world), Finished()

    def _make_python(self, function: FunctionSource, wit: Path, component: Path) -> tuple[Surface, Finished]:
        bare = component.with_name(BARE)
        self._componentize(function, wit, bare)
        self._progress(function.name, "finish")
        worlds = (function.world, function.finished_world)
        finished = finish(bare, wit, worlds, component, portable=function.wasi)
        if function.compose:
            self._progress(function.name, "compose")
            inside = [self._component(inner)[0].directory / COMPONENT for inner in self._composed(function)]
            toolchain.compose(component.replace(component.with_suffix(".open")), inside, component)
        return self._pass_gate(function, wit, component, finished), finished

    def _componentize(self, function: FunctionSource, wit: Path, output: Path) -> None:
        self._progress(function.name, "lint")
        files = guest_files(function, self._included(function))
        guest = _write(output.parent / "guest", files)
        packages = output.parent / "packages"
        toolchain.install_dependencies(function.dependencies, packages)
        check_guest(files, _top_level(packages), folder=f"functions/{function.name}/", wasi=function.wasi)
        self._progress(function.name, "componentize")
        toolchain.componentize(guest, packages, wit, function.world, output, function.wasi)

    def _pass_gate(self, function: FunctionSource, wit: Path, component: Path, finished: Finished) -> Surface:
        self._progress(function.name, "gate")
        allowed = self._allowed.get(function.finished_world, ())
        leftovers = frozenset() if LINK in finished.steps else LEFTOVER_EXPORTS
        surface = pass_gate(component, wit, function.finished_world, allowed, leftovers)
        if function.wasi:
            check_pinned(function.name, surface.imports, function.imports)
        return surface

    def _manifest(self, function: FunctionSource, entry: Entry) -> ComponentManifest:
        return ComponentManifest(
            name=function.name,
            world=function.finished_world,
            component=entry.component,
            compiled=entry.compiled,
            engine=engine_fingerprint(),
            imports=entry.imports,
            exports=entry.exports,
            category=function.category,
            limits=function.limits,
            sources=_sources([function, *self._composed(function), *self._included(function)]),
            lock=self._lock,
            tools=toolchain.tool_versions(),
            steps=entry.finished.steps,
        )


def _sources(functions: Sequence[FunctionSource]) -> dict[str, str]:
    """Digest of every file that went in: `functions/<name>/…`, shared modules under their own path, `wit/…`."""
    digests = {f"wit/{path}": sha256_digest(data) for path, data in functions[0].wit.items()}
    for function in functions:
        digests[f"functions/{function.name}/function.toml"] = sha256_digest(function.toml)
        digests |= {
            path if "/" in path else f"functions/{function.name}/{path}": sha256_digest(data)
            for path, data in function.files.items()
        }
    return digests


def _top_level(packages: Path) -> list[str]:
    """Importable names that the dependencies brought. Raises: Rejected("build-failed") for native code."""
    native = [path.name for pattern in ("*.so", "*.pyd") for path in packages.rglob(pattern)]
    if native:
        raise Rejected("build-failed", f"dependencies are pure Python, found {', '.join(native)}")
    return [path.stem for path in packages.glob("*") if path.suffix in ("", ".py")]


def _write(directory: Path, files: Mapping[str, bytes]) -> Path:
    for path, data in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory
