"""A finished module's interpreter, run by the builder: calls with public data, Python of its own, its memory.

program = Program(core, resolved)          # compiled once; needs no host, or one of STAND_INS
running = program.start()
running.call(("home-hero", signals, candidates, 3))
running.execute(source); running.evaluate("facts()")
running.memory()
"""

from collections.abc import Mapping, Sequence
from typing import Any

from wasmtime import Config, Engine, Func, Global, Instance, Memory, Module, Store, Trap, WasmtimeError

from builder.finish import binary
from builder.finish.binary import refuse
from builder.finish.canonical import Signature
from builder.finish.core_module import CoreModule, Kind, read_core_module
from builder.finish.sections import replace_sections
from runtime_host.wasm.exports import EXPORTS, Export

PAGE = 65_536
# What must be exported besides: the interpreter's own functions, by their documented names.
PYTHON = (
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyImport_AddModule",
    "PyModule_GetDict",
    "PyRun_StringFlags",
    "PyBytes_AsString",
    "PyBytes_Size",
)
EVALUATE, EXECUTE = 258, 257  # Py_eval_input, Py_file_input
_GLOBAL = "global:"

# Host functions that a call on public data needs, by what they write to the address of their result.
STAND_INS: Mapping[tuple[str, str], bytes] = {
    ("consent-edge:functions/signature@0.1.0", "verify"): b"\0\0",  # ok: every signature is good
}


class Program:
    """The module, compiled for the builder. `resolved`: the component's WIT as JSON."""

    def __init__(self, core: bytes, resolved: Mapping[str, Any]) -> None:
        parts = read_core_module(core)
        self._answers = [_stand_in(entry.module, entry.name) for entry in parts.imported(Kind.FUNCTION)]
        self.export = _export(set(parts.exports))
        if missing := [name for name in PYTHON if name not in parts.exports]:
            raise refuse(f"its interpreter has no {', '.join(missing)}")
        self._signature = Signature.of(resolved, self.export.interface, self.export.function)
        config = Config()
        config.cranelift_opt_level = "none"  # some hundred calls: compiling costs more than running
        self._engine = Engine(config)
        self._module = Module(self._engine, _with_globals(core, parts))

    def start(self, memory: bytes | None = None) -> "Running":
        """A new instance; with `memory` in place of its own."""
        store = Store(self._engine)
        running = Running(store, self.export, self._signature)
        provided = [
            Func(store, entry.type, running.answering(answer))  # type: ignore[arg-type]  # functions alone are imported
            for entry, answer in zip(self._module.imports, self._answers, strict=True)
        ]
        running.attach(Instance(store, self._module, provided))
        if memory is not None:
            running.load(memory)
        return running


class Running:
    """One instance. Any failure in it is a refusal: the image is then not taken from it."""

    def __init__(self, store: Store, export: Export, signature: Signature) -> None:
        self._store = store
        self._name = f"{export.interface}#{export.function}"
        self._signature = signature
        self._exports: Mapping[str, Any] = {}

    def attach(self, instance: Instance) -> None:
        """Take over the exports of the instance that was made in this store."""
        self._exports = dict(instance.exports(self._store))

    def answering(self, answer: bytes) -> Any:
        """A host function that writes `answer` to the address in its last argument."""
        return lambda *arguments: self._write(arguments[-1], answer)

    def call(self, values: Sequence[Any]) -> None:
        """The exported function, with these values. Either half of its result will do."""
        arguments = self._signature.lower(values, self._allocate, self._write)
        result = self._run(self._name, *arguments)
        self._run(f"cabi_post_{self._name}", result)

    def execute(self, source: str) -> None:
        """Run statements in the interpreter's main module."""
        self._python(source, EXECUTE)

    def evaluate(self, expression: str) -> bytes:
        """The value, a bytes object, of an expression."""
        value = self._python(expression, EVALUATE)
        start, size = self._run("PyBytes_AsString", value), self._run("PyBytes_Size", value)
        return self.memory()[start : start + size]

    def memory(self) -> bytes:
        """All of its memory."""
        memory = self._memory
        return bytes(memory.read(self._store, 0, memory.data_len(self._store)))

    def load(self, content: bytes) -> None:
        """Put `content` in place of its memory, which may grow for it."""
        missing = len(content) // PAGE - self._memory.size(self._store)
        if missing > 0:
            self._memory.grow(self._store, missing)
        self._write(0, content)

    def globals(self) -> dict[str, Any]:
        """Every global that code can set."""
        return {name: value.value(self._store) for name, value in self._exports.items() if isinstance(value, Global)}

    @property
    def _memory(self) -> Memory:
        memory = self._exports["memory"]
        assert isinstance(memory, Memory)
        return memory

    def _allocate(self, size: int, alignment: int) -> int:
        return self._run("cabi_realloc", 0, 0, alignment, size)

    def _write(self, address: int, data: bytes) -> None:
        self._memory.write(self._store, data, address)

    def _run(self, name: str, *arguments: int) -> int:
        try:
            result = self._exports[name](self._store, *arguments)
        except (Trap, WasmtimeError) as error:
            raise refuse(f"{name.split('#')[-1]} failed: {str(error).splitlines()[-1].strip()}") from error
        return int(result or 0)

    def _python(self, source: str, form: int) -> int:
        data = source.encode() + b"\0"
        text, main = self._allocate(len(data), 1), self._allocate(len("__main__") + 1, 1)
        self._write(text, data)
        self._write(main, b"__main__\0")
        state = self._run("PyGILState_Ensure")
        names = self._run("PyModule_GetDict", self._run("PyImport_AddModule", main))
        value = self._run("PyRun_StringFlags", text, form, names, names, 0)
        self._run("PyGILState_Release", state)
        if not value:
            raise refuse("Python inside the interpreter raised an exception")
        return value


def _export(exported: set[str]) -> Export:
    for export in EXPORTS:
        if f"{export.interface}#{export.function}" in exported:
            return export
    raise refuse("it exports nothing that the builder has public data for")


def _stand_in(interface: str, name: str) -> bytes:
    if (interface, name) not in STAND_INS:
        raise refuse(f"it asks a host for {interface} {name}")
    return STAND_INS[interface, name]


def _with_globals(core: bytes, module: CoreModule) -> bytes:
    """Every global that code can set, exported: so that its value can be compared."""
    exported = [
        binary.name(f"{_GLOBAL}{index}") + bytes([Kind.GLOBAL]) + binary.unsigned(index)
        for index, entry in enumerate(module.globals)
        if entry.mutable
    ]
    named = [
        binary.name(name) + bytes([kind]) + binary.unsigned(index) for name, (kind, index) in module.exports.items()
    ]
    return replace_sections(core, {7: binary.vector([*named, *exported])})
