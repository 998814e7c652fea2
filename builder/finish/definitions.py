"""What the core instances of a component define, and what every index inside each of them names.

definitions = Definitions(wiring)
definitions.target(Provided(3, "malloc"))    # the function itself, through every import and export between
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from builder.finish import binary
from builder.finish.binary import refuse
from builder.finish.component import HostFunction, Provided, Provider, Wiring
from builder.finish.core_module import (
    FUNCTIONS,
    GLOBAL_GET,
    I32,
    I32_CONST,
    I32_SUB,
    CoreModule,
    Global,
    Kind,
    constant_parts,
    read_core_module,
)

U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """Something that a core instance defines: number `index` among its own definitions of that kind. One of each."""

    instance: int
    kind: Kind
    index: int


Target: TypeAlias = Item | HostFunction


class Definitions:
    """`spaces`: of each core instance, what every index of every space names."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.modules: dict[int, CoreModule] = {}
        self.spaces: dict[int, dict[Kind, list[Target]]] = {}
        for number, instance in enumerate(wiring.core_instances):
            if instance.module is not None:
                self._add(number, read_core_module(wiring.modules[instance.module]))

    def _add(self, number: int, module: CoreModule) -> None:
        if module.start is not None:
            raise refuse("a core module has a start function")
        self.modules[number] = module
        self.spaces[number] = {
            kind: [self._imported(number, entry.module, entry.name) for entry in module.imported(kind)]
            + [Item(number, kind, index) for index in range(defined)]
            for kind, defined in zip(Kind, _defined(module), strict=True)
        }

    def _imported(self, number: int, space: str, name: str) -> Target:
        return self.target(Provided(self.wiring.core_instances[number].arguments[space], name))

    def target(self, provider: Provider) -> Target:
        """The definition behind an export."""
        provider = self.wiring.provider(provider)
        if isinstance(provider, HostFunction):
            return provider
        kind, index = self.modules[provider.instance].exports[provider.name]
        return self.spaces[provider.instance][kind][index]

    def exporting(self, name: str) -> Iterator[Target]:
        """What any instance exports under that name."""
        yield from (self.target(Provided(number, name)) for number in self.modules if name in self.exports_of(number))

    def exports_of(self, instance: int) -> dict[str, tuple[Kind, int]]:
        """The exports of one instance."""
        return self.modules[instance].exports

    def type_of(self, function: Target) -> bytes:
        """A function's type, encoded."""
        if isinstance(function, HostFunction):
            return self._host_type(function)
        module = self.modules[function.instance]
        return module.types[module.functions[function.index]]

    def _host_type(self, wanted: HostFunction) -> bytes:
        """As the first module that imports it has it."""
        for number, module in self.modules.items():
            for index, entry in enumerate(module.imported(Kind.FUNCTION)):
                if self.spaces[number][Kind.FUNCTION][index] == wanted:
                    return module.types[binary.Reader(entry.described).unsigned()]
        raise refuse(f"no module imports {wanted.name}")

    def body_of(self, function: Item) -> bytes:
        """Locals and instructions."""
        return self.modules[function.instance].bodies[function.index]

    def global_of(self, item: Item) -> Global:
        """A global's definition."""
        return self.modules[item.instance].globals[item.index]

    def memory_of(self, item: Item) -> bytes:
        """A memory's limits, encoded."""
        return self.modules[item.instance].memories[item.index]

    def table_size(self, item: Item) -> int:
        """How many functions a table starts with; none grows."""
        encoded = binary.Reader(self.modules[item.instance].tables[item.index])
        if encoded.byte() != FUNCTIONS:
            raise refuse("a table that holds no functions")
        encoded.byte()
        return encoded.unsigned()


class Constants:
    """Values of the globals that no function sets. `changed`: those that one sets."""

    def __init__(self, definitions: Definitions, changed: set[Item]) -> None:
        self._definitions = definitions
        self._changed = changed
        self._values: dict[Item, int | None] = {}

    def of(self, item: Item) -> int | None:
        """The value of a global that no function sets, as 32 bits; None of any other."""
        if item not in self._values:
            found = self._definitions.global_of(item)
            fixed = found.type == I32 and item not in self._changed
            self._values[item] = self.value(item.instance, found.start) if fixed else None
        return self._values[item]

    def value(self, instance: int, expression: bytes) -> int:
        """What a constant expression of one instance amounts to. Raises: Rejected("build-step")."""
        stack: list[int] = []
        for operation, operand in constant_parts(expression):
            if operation == I32_CONST:
                stack.append(operand & U32)
            elif operation == GLOBAL_GET:
                stack.append(self._known(self._definitions.spaces[instance][Kind.GLOBAL][operand]))
            else:
                second, first = stack.pop(), stack.pop()
                stack.append((first - second if operation == I32_SUB else first + second) & U32)
        return stack.pop()

    def _known(self, target: Target) -> int:
        value = self.of(target) if isinstance(target, Item) else None
        if value is None:
            raise refuse("an address depends on a global that code may set")
        return value


def _defined(module: CoreModule) -> tuple[int, int, int, int]:
    """How many functions, tables, memories and globals of its own a module has: in the order of `Kind`."""
    return len(module.bodies), len(module.tables), len(module.memories), len(module.globals)
