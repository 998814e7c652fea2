"""How a component's core modules hang together: who provides each core import, and what is lifted.

    wiring = read_wiring(data)
    wiring.provider(Kind.FUNCTION, Provided(3, "malloc"))   # (module instance, export), or a function of the host

Instances that only give names to other instances' exports are seen through. Component types are followed only as far
as the names of imported functions and resources need it. Source: Component Model, `design/mvp/Binary.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from builder.finish.binary import COMPONENT, Reader, refuse, sections
from builder.finish.core_module import Kind

CORE, FUNCTION, TYPE, INSTANCE = 0, 1, 3, 5  # sorts
LIFT, LOWER, RESOURCE_DROP = 0, 1, 3  # canonical definitions
MEMORY, REALLOC, POST_RETURN = 3, 4, 5  # their options that have an operand
UTF8 = 0
ROOT = "$root"  # where `wasm-tools component new` looks for functions a world imports without an interface


@dataclass(frozen=True, slots=True)
class Provided:
    """An export of a core instance."""

    instance: int
    name: str


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function that the component itself imports, by the names that `wasm-tools component new` gives it."""

    interface: str
    name: str


Provider: TypeAlias = Provided | HostFunction


@dataclass(frozen=True, slots=True)
class Instance:
    """A core instance: of a module, with an instance for each import name, or (`module` None) just names."""

    module: int | None
    arguments: dict[str, int] = field(default_factory=dict)
    exports: dict[str, Provider] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """What a lifted or lowered function passes its arguments through."""

    memory: Provider | None
    realloc: Provider | None
    post_return: Provider | None


@dataclass(frozen=True, slots=True)
class Lift:
    """A core function that the component exports."""

    function: Provider
    options: Options


@dataclass(slots=True)
class Wiring:
    """`core`: each core index space by kind. `functions`, `instances`, `types`: names of imported things, else None."""

    modules: list[bytes] = field(default_factory=list)
    core_instances: list[Instance] = field(default_factory=list)
    core: dict[Kind, list[Provider]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    lifts: list[Lift] = field(default_factory=list)
    lowered: list[Options] = field(default_factory=list)
    functions: list[HostFunction | None] = field(default_factory=list)
    instances: list[str | None] = field(default_factory=list)
    types: list[HostFunction | None] = field(default_factory=list)

    def provider(self, provided: Provider) -> Provider:
        """What is really behind an export: an instance of a module, or the host."""
        while isinstance(provided, Provided):
            instance = self.core_instances[provided.instance]
            if instance.module is not None:
                return provided
            provided = instance.exports[provided.name]
        return provided


def read_wiring(data: bytes) -> Wiring:
    """Take a component apart. Raises: Rejected("build-step") for what componentize-py does not emit."""
    wiring = Wiring()
    for kind, body in sections(data, COMPONENT):
        if kind in _SECTIONS:
            reader = Reader(body)
            for _ in range(reader.unsigned()):
                _SECTIONS[kind](wiring, reader)
        elif kind == 1:
            wiring.modules.append(body)
        elif kind == 7:  # types: only that they are there
            wiring.types += [None] * Reader(body).unsigned()
        elif kind not in (0, 4):  # custom; nested components, which only give names to types
            raise refuse(f"a component has a section of kind {kind}")
    return wiring


def _core_instance(wiring: Wiring, reader: Reader) -> None:
    if reader.byte() == 0:
        module = reader.unsigned()
        wiring.core_instances.append(Instance(module, arguments=dict(reader.vector(_argument))))
        return
    named = dict(reader.vector(lambda entry: (entry.name(), (entry.byte(), entry.unsigned()))))
    exports = {name: wiring.core[Kind(kind)][index] for name, (kind, index) in named.items()}
    wiring.core_instances.append(Instance(None, exports=exports))


def _argument(reader: Reader) -> tuple[str, int]:
    name, sort = reader.name(), reader.byte()
    if sort != 0x12:
        raise refuse(f"a core module gets an argument of sort {sort:#x}")
    return name, reader.unsigned()


def _instance(wiring: Wiring, reader: Reader) -> None:
    wiring.instances.append(None)
    if reader.byte() == 0:
        reader.unsigned()
        reader.vector(lambda entry: (entry.name(), _sort(entry), entry.unsigned()))
    else:
        reader.vector(lambda entry: (_extern_name(entry), _sort(entry), entry.unsigned()))


def _sort(reader: Reader) -> int:
    sort = reader.byte()
    if sort == CORE:
        reader.byte()
    return sort


def _extern_name(reader: Reader) -> str:
    form = reader.byte()
    if form not in (0, 1):
        raise refuse(f"a name of form {form}")
    return reader.name()


def _alias(wiring: Wiring, reader: Reader) -> None:
    sort = reader.byte()
    kind = reader.byte() if sort == CORE else None
    target = reader.byte()
    if target == 1 and kind is not None:
        wiring.core[Kind(kind)].append(Provided(reader.unsigned(), reader.name()))
    elif target == 0:
        instance, name = wiring.instances[reader.unsigned()], reader.name()
        _append(wiring, sort, HostFunction(instance, name) if instance else None)
    elif target == 2:
        reader.unsigned(), reader.unsigned()
        _append(wiring, sort, None)
    else:
        raise refuse(f"an alias of sort {sort} to {target}")


def _append(wiring: Wiring, sort: int, item: HostFunction | None) -> None:
    if sort == FUNCTION:
        wiring.functions.append(item)
    elif sort == TYPE:
        wiring.types.append(item)
    elif sort == INSTANCE:
        wiring.instances.append(None)


def _canon(wiring: Wiring, reader: Reader) -> None:
    operation = reader.byte()
    if operation == RESOURCE_DROP:
        _resource_drop(wiring, reader)
    elif operation == LIFT:
        _lift(wiring, reader)
    elif operation == LOWER:
        _lower(wiring, reader)
    else:
        raise refuse(f"a canonical definition {operation:#x}")


def _resource_drop(wiring: Wiring, reader: Reader) -> None:
    resource = wiring.types[reader.unsigned()]
    if resource is None:
        raise refuse("a resource of its own is dropped")
    wiring.core[Kind.FUNCTION].append(HostFunction(resource.interface, f"[resource-drop]{resource.name}"))


def _lift(wiring: Wiring, reader: Reader) -> None:
    reader.byte()
    function = wiring.core[Kind.FUNCTION][reader.unsigned()]
    wiring.lifts.append(Lift(function, _options(wiring, reader)))
    reader.unsigned()
    wiring.functions.append(None)


def _lower(wiring: Wiring, reader: Reader) -> None:
    reader.byte()
    function = wiring.functions[reader.unsigned()]
    wiring.lowered.append(_options(wiring, reader))
    if function is None:
        raise refuse("a function of its own is lowered")
    wiring.core[Kind.FUNCTION].append(function)


def _options(wiring: Wiring, reader: Reader) -> Options:
    found: dict[int, Provider] = {}
    for _ in range(reader.unsigned()):
        option = reader.byte()
        if option == UTF8:
            continue
        if option not in (MEMORY, REALLOC, POST_RETURN):
            raise refuse(f"a canonical option {option:#x}")
        found[option] = wiring.core[Kind.MEMORY if option == MEMORY else Kind.FUNCTION][reader.unsigned()]
    return Options(found.get(MEMORY), found.get(REALLOC), found.get(POST_RETURN))


def _import(wiring: Wiring, reader: Reader) -> None:
    name, sort = _extern_name(reader), reader.byte()
    if sort == FUNCTION:
        reader.unsigned()
        wiring.functions.append(HostFunction(ROOT, name))
    elif sort == INSTANCE:
        reader.unsigned()
        wiring.instances.append(name)
    elif sort == TYPE:
        _type_bound(reader)
        wiring.types.append(HostFunction(ROOT, name))
    else:
        raise refuse(f"an import of sort {sort}")


def _type_bound(reader: Reader) -> None:
    if reader.byte() == 0:
        reader.unsigned()


def _export(wiring: Wiring, reader: Reader) -> None:
    """An export is a new entry of its index space."""
    _extern_name(reader)
    sort = _sort(reader)
    reader.unsigned()
    if reader.byte():
        raise refuse("an export with a type of its own")
    _append(wiring, sort, None)


_SECTIONS: dict[int, Callable[[Wiring, Reader], None]] = {
    2: _core_instance,
    5: _instance,
    6: _alias,
    8: _canon,
    10: _import,
    11: _export,
}
