"""What a change does to functions: capabilities, size, limits and sources against another git revision.

    differences = compare(results, "main", root=Path("."), trust=store.trust_file())

The other revision's functions are built, not guessed from what somebody committed: its files are laid out in a
temporary folder, go through the same builder and cache, are signed by a key that is thrown away, and measured.
`results` are the working tree's, from `build`.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.gate import LEFTOVER_EXPORTS
from builder.pipeline import BuildResult, Progress, build
from builder.source import find_function, function_names, roots
from builder.toolchain import run_tool
from consent_core.errors import Rejected
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile

KIB = 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """What a reviewer weighs in one built function. Sizes in bytes; `sources`: path to digest."""

    world: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    category: tuple[str, ...]
    memory_mib: int
    deadline_ms: int
    size: int
    compiled_size: int
    sources: Mapping[str, str]

    @classmethod
    def of(cls, result: BuildResult) -> "Shape":
        """The shape of a build."""
        manifest = result.manifest
        return cls(
            world=manifest.world,
            imports=manifest.imports,
            exports=tuple(name for name in manifest.exports if name not in LEFTOVER_EXPORTS),
            category=manifest.category,
            memory_mib=manifest.limits.memory_mib,
            deadline_ms=manifest.limits.deadline_ms,
            size=result.size,
            compiled_size=result.compiled_size,
            sources=manifest.sources,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs. `wider`: the function may do or use more than before, so somebody should look."""

    what: str
    before: str
    after: str
    wider: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One function at the revision (`before`) and now (`after`); None where there is none."""

    name: str
    before: Shape | None
    after: Shape | None

    @property
    def status(self) -> str:
        """`added`, `removed`, `changed` or `same`."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        return "changed" if self.changes else "same"

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that differs, capabilities first. A function that is new or gone differs in everything."""
        return tuple(_changes(self.before, self.after))

    def to_json(self) -> dict[str, Any]:
        """For machines: sizes in bytes."""
        shapes = {"before": self.before, "after": self.after}
        return {
            "name": self.name,
            "status": self.status,
            "changes": [asdict(change) for change in self.changes],
            **{name: asdict(shape) if shape else None for name, shape in shapes.items()},
        }


def commit_of(root: Path, revision: str) -> str:
    """The commit that a revision names. Raises: Rejected("diff-revision")."""
    asked = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    try:
        return run_tool(asked).strip()
    except Rejected as error:
        raise Rejected("diff-revision", f"{revision} is no revision of this repository: {error.message}") from error


def comparable(root: Path) -> tuple[str, ...]:
    """The functions of this tree that become components, those for other hosts included."""
    names = function_names((root,))
    return tuple(name for name in names if find_function(name, roots(root)).language == "python")


def compare(
    results: Sequence[BuildResult],
    revision: str,
    *,
    root: Path,
    trust: TrustFile | None = None,
    names: Sequence[str] = (),
    cache: Path | None = None,
    progress: Progress = lambda _name, _stage: None,
) -> list[Difference]:
    """Each of `names` (default: every function of either side) at the revision and now, by name.

    Raises: Rejected("diff-revision"), and what the builder raises for the revision's functions.
    """
    after = {result.name: Shape.of(result) for result in results}
    with tempfile.TemporaryDirectory(prefix="consent-edge-diff-") as scratch:
        tree = _laid_out(root, revision, Path(scratch))
        there = [name for name in comparable(tree) if not names or name in names]
        key = KeyStore.open(Path(scratch), create=True).current("component")
        out, cache = Path(scratch) / "components", cache or root / "build" / "cache"
        built = (
            build(there, root=tree, out=out, cache=cache, signer=key, trust=trust, progress=progress) if there else []
        )
        before = {result.name: Shape.of(result) for result in built}
    return [Difference(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]


def _laid_out(root: Path, revision: str, scratch: Path) -> Path:
    """The revision's files as git has them, and nothing of the working tree."""
    archive, tree = scratch / "tree.tar", scratch / "tree"
    run_tool(["git", "-C", str(root), "archive", "--format=tar", f"--output={archive}", commit_of(root, revision)])
    tree.mkdir()
    run_tool(["tar", "-xf", str(archive), "-C", str(tree)])  # tarfile's own filter is not in every Python 3.11
    archive.unlink()
    return tree


def _changes(before: Shape | None, after: Shape | None) -> Iterator[Change]:
    yield from _names("import", before.imports if before else (), after.imports if after else ())
    yield from _names("export", before.exports if before else (), after.exports if after else ())
    yield from _names("category", before.category if before else (), after.category if after else ())
    if _differ(before, after, "world"):
        yield Change("world", before.world if before else "", after.world if after else "", wider=after is not None)
    for what, unit in (("memory_mib", "MiB"), ("deadline_ms", "ms")):
        if _differ(before, after, what):
            old, new = (getattr(shape, what) if shape else None for shape in (before, after))
            yield Change(what.split("_")[0], _amount(old, unit), _amount(new, unit), wider=(new or 0) > (old or 0))
    for what in ("size", "compiled_size"):
        if _differ(before, after, what):
            old, new = (getattr(shape, what) if shape else None for shape in (before, after))
            yield Change("native size" if what != "size" else what, _kib(old), _kib(new))
    yield from _sources(before.sources if before else {}, after.sources if after else {})


def _names(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    yield from (Change(what, "", name, wider=True) for name in after if name not in before)
    yield from (Change(what, name, "") for name in before if name not in after)


def _sources(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield Change("source", path if path in before else "", path if path in after else "")


def _differ(before: Shape | None, after: Shape | None, name: str) -> bool:
    return (getattr(before, name) if before else None) != (getattr(after, name) if after else None)


def _amount(value: int | None, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"


def _kib(value: int | None) -> str:
    return "" if value is None else f"{value / KIB:,.0f} KiB"
