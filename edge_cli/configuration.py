"""Configuration of a process: a TOML file, then the environment, then the command line; the later one holds.

    sources = Sources("EDGE_POP_", file=Path("pop.toml"))
    config = configured(PopConfig, sources, {"pop": "tokyo-1", "workers": None})

Every field of the dataclass is a key of the file and, in capitals behind the prefix, a variable of the environment.
`template` writes the file with each field's own comment, so that the dataclass is the one place that explains it.
"""

import ast
import inspect
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from consent_core.errors import Rejected

T = TypeVar("T")
UNSET = ("clock",)  # given by the program, never by an operator
_LINE = re.compile(r"^    (\w+): (.+?)(?: = (.+?))?(?:  # (.+))?$")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from besides the command line. `prefix`: of the environment's variables."""

    prefix: str
    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def configured(
    kind: type[T], sources: Sources, options: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
) -> T:
    """A configuration. `options`: what the command line gave, None where it gave nothing. `defaults`: of last resort.

    Raises: Rejected("config-missing" | "config-malformed" | "config-unknown" | "config-value"), naming file and key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values = {**defaults, **_from_file(kind, sources), **_from_environment(kind, sources), **given}
    types = get_type_hints(kind)
    try:
        return kind(**{name: _read(name, types[name], value) for name, value in values.items()})
    except TypeError as error:  # a field without a default was not given
        raise Rejected("config-value", str(error).partition("() ")[2]) from error
    except ValueError as error:
        raise Rejected("config-value", str(error)) from error


def assigned(kind: type[Any], texts: Iterable[str]) -> dict[str, Any]:
    """The values of `--set NAME=VALUE`, the option that every setting has.

    Raises: Rejected("config-unknown" | "config-value").
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise Rejected("config-value", f"--set {text}: expected NAME=VALUE")
        found[name.strip()] = value
    return _from_texts(kind, found, "--set")


def _read(name: str, kind: Any, value: Any) -> Any:
    """A value as the field's type: text of the environment becomes a number, a flag or a path."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name}: {error.errors()[0]['msg']}") from error


def settable(kind: type[Any]) -> tuple[Field[Any], ...]:
    """The fields that an operator may set."""
    return tuple(item for item in fields(kind) if item.name not in UNSET)


def template(kind: type[Any]) -> str:
    """A TOML file with every field at its default and its comment; fields without a default are commented out."""
    return "".join(_entry(item, comment) for item, comment in explained(kind))


def explained(kind: type[Any]) -> Iterator[tuple[Field[Any], str]]:
    """Each settable field with the comment that stands behind it in the source."""
    comments = {}
    for line in inspect.getsource(kind).splitlines():
        if match := _LINE.match(line):
            comments[match.group(1)] = match.group(4) or ""
    return ((item, comments.get(item.name, "")) for item in settable(kind))


def _entry(item: Field[Any], comment: str) -> str:
    value = item.default if item.default_factory is MISSING else item.default_factory()
    explanation = f"# {comment}\n" if comment else ""
    if value is MISSING or value is None or isinstance(value, Path):  # a path depends on where this is installed
        return f"{explanation}# {item.name} =\n"
    return f"{explanation}{item.name} = {_toml(value)}\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def _from_file(kind: type[Any], sources: Sources) -> dict[str, Any]:
    if sources.file is None:
        return {}
    try:
        values = tomllib.loads(sources.file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Rejected("config-missing", f"cannot read {sources.file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Rejected("config-malformed", f"{sources.file}: {error}") from error
    _require_known(kind, values, str(sources.file))
    for item in settable(kind):
        if isinstance(values.get(item.name), bool) and not isinstance(item.default, bool):
            raise Rejected("config-value", f"{item.name}: expected anything but true or false")
    return values


def _from_environment(kind: type[Any], sources: Sources) -> dict[str, Any]:
    found = {
        name.removeprefix(sources.prefix).lower(): value
        for name, value in sources.environment.items()
        if name.startswith(sources.prefix) and name != f"{sources.prefix}CONFIG"  # which names the file
    }
    return _from_texts(kind, found, f"the environment ({sources.prefix}…)")


def _from_texts(kind: type[Any], found: Mapping[str, str], where: str) -> dict[str, Any]:
    """Settings that came as text; `_read` makes numbers, flags and paths of them."""
    _require_known(kind, found, where)
    lists = {item.name for item in settable(kind) if isinstance(item.default, tuple)}
    return {name: _listed(value) if name in lists else value for name, value in found.items()}


def _listed(text: str) -> tuple[str, ...]:
    """`a,b` or a Python list literal."""
    if text.startswith("["):
        return tuple(ast.literal_eval(text))
    return tuple(part.strip() for part in text.split(",") if part)


def _require_known(kind: type[Any], values: Mapping[str, Any], where: str) -> None:
    known = {item.name for item in settable(kind)}
    for name in values:
        if name not in known:
            raise Rejected("config-unknown", f"{where}: {name} is no setting; there are {', '.join(sorted(known))}")
