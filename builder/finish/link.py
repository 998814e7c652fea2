"""The core modules of a component as one module: instantiating it links nothing any more.

    linked = link(read_wiring(component), also=("PyRun_SimpleStringFlags",))

Every import is replaced by what provides it, and what neither an export nor a table reaches is left out. A global that
no instruction sets is a constant; with constant offsets, tables and memory need no code to fill them, and wasmtime
makes function references only when they are used. The result's bytes depend on the component alone.
"""

from collections.abc import Iterator, Sequence

from builder.finish.binary import refuse
from builder.finish.component import HostFunction, Options, Wiring
from builder.finish.core_module import Kind
from builder.finish.definitions import Definitions, Item, Target
from builder.finish.instructions import GLOBAL_GET, GLOBAL_SET, IndirectCall, Piece, Reference, Space, pieces
from builder.finish.write import Code, Reached, Write, write

LEFTOVER = "exports#"  # componentize-py describes its exports to itself in one interface that nothing outside can use
_ONE_TABLE = b"\0"


def link(wiring: Wiring, also: Sequence[str] = ()) -> bytes:
    """One core module with what is lifted, for `wasm-tools component new`; `also`: exports of any module to keep.

    Raises: Rejected("build-step").
    """
    definitions = Definitions(wiring)
    named = [(name, target) for name in also for target in definitions.exporting(name)]
    exports = _one_of_each([*_lifted(definitions), *_passing(definitions), *named])
    return write(definitions, _Walk(definitions).reach([*exports.values(), *_in_tables(definitions)]), exports)


def _lifted(definitions: Definitions) -> Iterator[tuple[str, Target]]:
    """What the component exports, under the names by which `wasm-tools component new` lifts it again."""
    for lift in definitions.wiring.lifts:
        function = definitions.wiring.provider(lift.function)
        if isinstance(function, HostFunction):
            raise refuse("a function of the host is lifted")
        if not function.name.startswith(LEFTOVER):
            yield function.name, definitions.target(function)
            if lift.options.post_return is not None:
                yield f"cabi_post_{function.name}", definitions.target(lift.options.post_return)


def _passing(definitions: Definitions) -> Iterator[tuple[str, Target]]:
    """What arguments pass through. There is one `cabi_realloc`, the first: that of componentize-py's runtime.

    The C library has another for what it calls of the host itself; both take from the C library's heap, so either can
    free what the other gave.
    """
    wiring = definitions.wiring
    options: list[Options] = [*(lift.options for lift in wiring.lifts), *wiring.lowered]
    yield from (("memory", definitions.target(each.memory)) for each in options if each.memory is not None)
    reallocs = (each.realloc for each in options if each.realloc is not None)
    yield from (("cabi_realloc", definitions.target(realloc)) for realloc in list(reallocs)[:1])


def _in_tables(definitions: Definitions) -> Iterator[Target]:
    for number, module in definitions.modules.items():
        for elements in module.elements:
            yield definitions.spaces[number][Kind.TABLE][elements.table]
            yield from (definitions.spaces[number][Kind.FUNCTION][index] for index in elements.functions)


def _one_of_each(found: list[tuple[str, Target]]) -> dict[str, Target]:
    exports: dict[str, Target] = {}
    for name, target in found:
        if exports.setdefault(name, target) is not target:
            raise refuse(f"two things want to be {name}")
    return exports


class _Walk:
    """From function to function, taking the code of each apart."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._reached = Reached()
        self._waiting: list[Item] = []

    def reach(self, targets: Sequence[Target]) -> Reached:
        for target in targets:
            self._reach(target)
        while self._waiting:
            function = self._waiting.pop()
            code = self._reached.code[function]
            for piece in pieces(self._definitions.body_of(function)):
                self._read(function.instance, piece, code)
        return self._reached

    def _reach(self, target: Target) -> None:
        if isinstance(target, HostFunction):
            self._reached.hosts[target] = None
        elif target.kind is not Kind.FUNCTION:
            self._reached.used[target] = None
        elif target not in self._reached.code:
            self._reached.code[target] = []
            self._waiting.append(target)

    def _read(self, instance: int, piece: Piece, code: Code) -> None:
        if isinstance(piece, bytes):
            code.append(piece)
        elif isinstance(piece, IndirectCall):
            self._read_call(instance, piece, code)
        elif piece.space is Space.TYPE:
            code += (piece.opcode, (Write.BLOCK_TYPE, self._definitions.modules[instance].types[piece.number]))
        else:
            self._read_reference(instance, piece, code)

    def _read_reference(self, instance: int, piece: Reference, code: Code) -> None:
        kind = Kind.FUNCTION if piece.space is Space.FUNCTION else Kind.GLOBAL
        target = self._definitions.spaces[instance][kind][piece.number]
        self._reach(target)
        if piece.opcode == GLOBAL_GET:
            code.append((Write.READ_GLOBAL, target))
            return
        if piece.opcode == GLOBAL_SET and isinstance(target, Item):
            self._reached.changed.add(target)
        code += (piece.opcode, (Write.INDEX, target))

    def _read_call(self, instance: int, piece: IndirectCall, code: Code) -> None:
        table = self._definitions.spaces[instance][Kind.TABLE][piece.table]
        self._reach(table)
        code += ((Write.TABLE_INDEX, table), piece.opcode)
        code += ((Write.INDEX, self._definitions.modules[instance].types[piece.type]), _ONE_TABLE)
