"""What a function consists of: `function.toml`, its own modules, shared modules and the WIT contract.

    function = find_function("personalization", roots(Path(".")))

A guest holds every `*.py` beside `app.py`; subfolders (`training/`, `tests/`) stay outside. `shared` names files of
this project's packages that go along under the same path.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consent_core.errors import Rejected
from consent_core.formats.manifest import DEADLINE_MS, MEMORY_MIB, Limits
from consent_core.formats.token import CATEGORIES
from consent_core.resources import PACKAGES, ROOT

SHARED = ("consent_core", "runtime_host")  # where modules that go along may come from
CONTRACT = "package consent-edge:functions@"  # what makes a folder `wit/` the contract and not somebody's own
LANGUAGES = ("python", "zig")
MAX_SOURCE_BYTES = 4_194_304

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")
_FIELDS = frozenset(
    {
        "description",
        "language",
        "world",
        "finished-world",
        "compose",
        "shared",
        "dependencies",
        "category",
        "limits",
        "include",
        "wasi",
        "imports",
    }
)


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function before it is built. `files`: path inside the guest -> bytes; `wit`: file name -> bytes.

    `compose` names functions whose components are put inside; `finished_world` is what then remains. `include` names
    functions whose modules go along, `app.py` as `<name>.py`. `wasi`: built on WASI instead of traps; `imports` is then
    the exact list of interfaces the component may ask for.
    """

    name: str
    directory: Path
    description: str
    language: str
    world: str
    finished_world: str
    compose: tuple[str, ...]
    dependencies: tuple[str, ...]
    category: tuple[str, ...]
    limits: Limits
    toml: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    wit: Mapping[str, bytes] = field(repr=False)
    include: tuple[str, ...] = ()
    wasi: bool = False
    imports: tuple[str, ...] = ()


def roots(root: Path) -> tuple[Path, ...]:
    """Where functions may live: the user's own tree first, then what this project ships."""
    return (root,) if root.resolve() == ROOT else (root, ROOT)


def find_function(name: str, places: tuple[Path, ...]) -> FunctionSource:
    """The function of that name. Raises: Rejected("build-source")."""
    if not _NAME.fullmatch(name):
        raise Rejected("build-source", f"{name!r}: a name is lower case, digits and underscores")
    for place in places:
        directory = place / "functions" / name
        if (directory / "function.toml").is_file():
            return _read_function(name, directory, _wit_directory(places))
    raise Rejected("build-source", f"no functions/{name}/function.toml here", status=404)


def function_names(places: tuple[Path, ...]) -> tuple[str, ...]:
    """Every function with a `function.toml`, by name."""
    found = {path.parent.name for place in places for path in place.glob("functions/*/function.toml")}
    return tuple(sorted(found))


def _wit_directory(places: tuple[Path, ...]) -> Path:
    """The contract: this project's, unless the tree brings a version of it."""
    return next((place / "wit" for place in places if _is_contract(place / "wit")), ROOT / "wit")


def _is_contract(wit: Path) -> bool:
    return any(CONTRACT in path.read_text("utf-8", errors="replace") for path in wit.glob("*.wit"))


def _read_function(name: str, directory: Path, wit: Path) -> FunctionSource:
    toml = (directory / "function.toml").read_bytes()
    settings = _Settings(f"functions/{name}/function.toml", _parse(name, toml))
    world = settings.text("world")
    language = settings.text("language", "python")
    settings.require(language in LANGUAGES, f"language: expected one of {', '.join(LANGUAGES)}")
    dependencies = settings.texts("dependencies")
    settings.require(all(_PINNED.fullmatch(entry) for entry in dependencies), 'dependencies: pin each as "name==1.2"')
    category = settings.texts("category")
    settings.require(set(category) <= set(CATEGORIES), f"category: from {', '.join(CATEGORIES)}")
    return FunctionSource(
        name=name,
        directory=directory,
        description=settings.text("description"),
        language=language,
        world=world,
        finished_world=settings.text("finished-world", world),
        compose=settings.texts("compose"),
        include=settings.texts("include"),
        wasi=settings.flag("wasi"),
        imports=tuple(sorted(settings.texts("imports"))),
        dependencies=dependencies,
        category=category,
        limits=settings.limits(),
        toml=toml,
        files=_zig_files(directory) if language == "zig" else _python_files(directory, settings),
        wit={**_contract_files(wit), **_contract_files(directory / "wit")},
    )


def guest_files(function: FunctionSource, included: Sequence[FunctionSource]) -> dict[str, bytes]:
    """Everything that lies in the guest: the function's own modules and those of the functions it includes."""
    files = dict(function.files)
    for inner in included:
        for path, data in inner.files.items():
            inside = f"{inner.name}.py" if path == "app.py" else path
            if files.setdefault(inside, data) != data:
                raise Rejected("build-source", f"{function.name} and {inner.name} both bring a {inside}")
    return files


def _contract_files(wit: Path) -> dict[str, bytes]:
    """WIT by its path below the folder; a function's own `wit/` adds to the common contract."""
    return {path.relative_to(wit).as_posix(): path.read_bytes() for path in sorted(wit.rglob("*.wit"))}


def _parse(name: str, toml: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(toml.decode("utf-8"))
    except ValueError as error:
        raise Rejected("build-source", f"functions/{name}/function.toml: {error}") from error


def _python_files(directory: Path, settings: "_Settings") -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in sorted(directory.glob("*.py"))}
    packages = _packages(directory.parents[1])
    settings.require("app.py" in files, "a function has an app.py beside its function.toml")
    for entry in settings.texts("shared"):
        path = packages / entry
        inside = entry.endswith(".py") and any(path.resolve().is_relative_to(packages / room) for room in SHARED)
        settings.require(inside and path.is_file(), f"shared: {entry} is no module of this project")
        files[entry] = path.read_bytes()
        files |= {f"{package}/__init__.py": b"" for package in map(str, Path(entry).parents) if package != "."}
    settings.require(sum(map(len, files.values())) <= MAX_SOURCE_BYTES, f"more than {MAX_SOURCE_BYTES} bytes of source")
    return files


def _packages(tree: Path) -> Path:
    """Where shared modules are: another checkout of this project brings its own, any other tree gets the installed."""
    ours = all((tree / entry).is_file() for entry in ("consent_core/errors.py", "builder/source.py"))
    return tree.resolve() if ours else PACKAGES


def _zig_files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.zig"))}


class _Settings:
    """A parsed `function.toml` that names itself in every complaint."""

    def __init__(self, path: str, values: dict[str, Any]) -> None:
        self._path = path
        self._values = values
        unknown = values.keys() - _FIELDS
        self.require(not unknown, f"unknown: {', '.join(sorted(unknown))}")

    def require(self, condition: bool, message: str) -> None:
        if not condition:
            raise Rejected("build-source", f"{self._path}: {message}")

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name, default)
        self.require(isinstance(value, str) and bool(value), f"{name}: expected a text")
        return str(value)

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        self.require(isinstance(value, bool), f"{name}: expected true or false")
        return bool(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name, [])
        self.require(isinstance(value, list) and all(isinstance(entry, str) for entry in value), f"{name}: a list")
        return tuple(value)

    def limits(self) -> Limits:
        value = self._values.get("limits", {})
        expected = isinstance(value, dict) and value.keys() == {"memory_mib", "deadline_ms"}
        self.require(expected, "limits: expected memory_mib and deadline_ms")
        for name, span in (("memory_mib", MEMORY_MIB), ("deadline_ms", DEADLINE_MS)):
            fits = type(value[name]) is int and value[name] in span
            self.require(fits, f"limits.{name}: expected {span.start} to {span.stop - 1}")
        return Limits(value["memory_mib"], value["deadline_ms"])
