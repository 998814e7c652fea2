"""The last look at a finished component: it imports only what is allowed and exports exactly what its world says.

`wasm-tools component targets` alone is not enough: it ignores extra exports and accepts fewer imports than the world
names. So the world must be without imports where none are allowed, and the exports are compared by name as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import toolchain
from consent_core.errors import Rejected

# componentize-py describes its exports to itself in one interface that nothing outside can use; linking drops it.
LEFTOVER_EXPORTS = frozenset({"exports"})


@dataclass(frozen=True, slots=True)
class Surface:
    """Everything a component can ask for and be asked: full interface names, sorted."""

    imports: tuple[str, ...]
    exports: tuple[str, ...]


def pass_gate(
    component: Path,
    wit: Path,
    world: str,
    allowed_imports: Sequence[str] = (),
    leftovers: frozenset[str] = frozenset(),
) -> Surface:
    """The surface of `component`, if it is that of `world`. Raises: Rejected("build-gate").

    `allowed_imports`: WIT packages such as `wasi:http` that a component of this world may import. `leftovers`: exports
    that a component may have besides.
    """
    found, expected = surface_of(component), world_surface(wit, world)
    check_imports(component.stem, found.imports, allowed_imports)
    exported = tuple(name for name in found.exports if name not in leftovers)
    if exported != expected.exports:
        raise Rejected("build-gate", f"{component.stem} exports {exported}, {world} says {expected.exports}")
    try:
        toolchain.targets_world(component, wit, world)
    except Rejected as error:
        raise Rejected("build-gate", f"{component.stem} does not fit {world}: {error.message}") from error
    return found


def check_imports(name: str, imports: Sequence[str], allowed: Sequence[str]) -> None:
    """Return if every import belongs to an allowed package. Raises: Rejected("build-gate")."""
    foreign = [entry for entry in imports if entry.split("/")[0] not in allowed]
    if foreign:
        rule = f"only {', '.join(allowed)}" if allowed else "nothing"
        raise Rejected("build-gate", f"{name} imports {', '.join(foreign)}; its world may import {rule}")


def check_pinned(name: str, imports: Sequence[str], pinned: Sequence[str]) -> None:
    """Return if the imports are exactly those written down in `function.toml`. Raises: Rejected("build-gate")."""
    new, gone = sorted(set(imports) - set(pinned)), sorted(set(pinned) - set(imports))
    if new or gone:
        said = [f"also {', '.join(new)}"] * bool(new) + [f"no longer {', '.join(gone)}"] * bool(gone)
        raise Rejected("build-gate", f"{name} imports {'; '.join(said)}; function.toml says otherwise")


def surface_of(component: Path) -> Surface:
    """What a component file imports and exports, leftovers included."""
    return _surface(toolchain.wit_of(component), "root")


def world_surface(wit: Path, world: str) -> Surface:
    """What a world of the contract imports and exports."""
    return _surface(toolchain.wit_of(wit), world)


def _surface(resolved: Mapping[str, Any], world: str) -> Surface:
    for entry in resolved["worlds"]:
        if entry["name"] == world:
            return Surface(_names(resolved, entry["imports"]), _names(resolved, entry["exports"]))
    raise Rejected("build-gate", f"no world {world} in the contract")


def _names(resolved: Mapping[str, Any], items: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(_name(resolved, key, item) for key, item in items.items()))


def _name(resolved: Mapping[str, Any], key: str, item: Mapping[str, Any]) -> str:
    """`namespace:package/interface@version` for an interface of a package, else the plain name of the item."""
    interface = item.get("interface")
    if interface is None:
        return key
    entry = resolved["interfaces"][interface["id"]]
    if entry["name"] is None:
        return key
    package, _, release = resolved["packages"][entry["package"]]["name"].partition("@")
    return f"{package}/{entry['name']}" + (f"@{release}" if release else "")
