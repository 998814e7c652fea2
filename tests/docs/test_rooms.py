"""Modules, rooms and packages import in one direction: no circle at any level of the tree."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = tuple(LINTER["root_packages"])
NOT_SHIPPED = {"tests", "benches", "demo"}  # import what they like; nothing imports them
IN_ROOMS = ("consent_core", "control_plane", "runtime_host.pop")  # packages whose own rooms have layers
Graph = Mapping[str, set[str]]


@cache
def modules() -> Mapping[str, Path]:
    """Every module by its name; a package has the name of its folder."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports() -> tuple[tuple[str, str], ...]:
    """Importer and imported, also of imports inside functions."""
    named = modules()
    return tuple(
        (module, target)
        for module, file in named.items()
        for target in _targets(file)
        if target in named and target != module
    )


def _targets(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules() else node.module for name in names)


def children(parent: str) -> Graph:
    """What lies directly in a package, and which of it imports which; "" has the packages."""
    prefix, graph = f"{parent}." if parent else "", defaultdict(set)
    for importer, imported in imports():
        if importer.startswith(prefix) and imported.startswith(prefix):
            here, there = (name.removeprefix(prefix).partition(".")[0] for name in (importer, imported))
            if here != there:
                graph[here].add(there)
    return graph


def circle(graph: Graph) -> list[str] | None:
    """One circle of the graph; None if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_no_modules_import_each_other():
    """Also not by an import inside a function, which Python would forgive."""
    graph = defaultdict(set)
    for importer, imported in imports():
        graph[importer].add(imported)

    assert len(graph) > 400
    assert circle(graph) is None


@pytest.mark.parametrize("parent", ["", *sorted({name for name, file in modules().items() if file.stem == "__init__"})])
def test_no_rooms_import_each_other(parent):
    """A room that two others need lies below both."""
    assert circle(children(parent)) is None


def test_every_package_has_its_layer():
    """A package that is added is checked from its first day, and its place is decided then."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_SHIPPED

    assert packages == set(PACKAGES)
    assert {name for name in packages if not any(f"{layer}.".startswith(f"{name}.") for layer in layered())} == set()


@pytest.mark.parametrize("parent", IN_ROOMS)
def test_every_room_has_its_layer(parent):
    """So no import of a room runs back up unnoticed."""
    rooms = {f"{parent}.{path.parent.name}" for path in (ROOT / parent.replace(".", "/")).glob("*/__init__.py")}

    assert rooms - layered() == set()


def layered() -> set[str]:
    """Every package and room that a contract of layers names; those in parentheses need not exist yet."""
    layers = (layer for contract in LINTER["contracts"] if contract["type"] == "layers" for layer in contract["layers"])
    return {name.strip(" ()") for layer in layers for name in layer.split("|")}


def test_a_circle_would_be_found():
    """The search itself: two rooms that name each other, over a third."""
    assert circle({"api": {"log"}, "log": {"store"}, "store": {"api"}}) is not None
