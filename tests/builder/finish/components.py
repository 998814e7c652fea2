"""Small components of several core modules, from text, and what their linked form answers."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from wasmtime import Config, Engine, Instance, Module, Store

from builder.finish.component import read_wiring
from builder.finish.link import link
from tests.runtime_host.wasm.guests import WASM_TOOLS

LIFT = """
    (alias core export $main "memory" (core memory $memory))
    (alias core export $main "answer" (core func $answer))
    (func $lifted (param "x" u32) (result u32) (canon lift (core func $answer) (memory $memory)))
    (export "answer" (func $lifted))
"""


@cache
def binary(text: str) -> bytes:
    """The binary form of a component or core module."""
    with TemporaryDirectory() as directory:
        source, target = Path(directory, "x.wat"), Path(directory, "x.wasm")
        source.write_text(text)
        subprocess.run([WASM_TOOLS, "parse", source, "-o", target], check=True)
        return target.read_bytes()


def of_modules(*modules: str, wiring: str) -> bytes:
    """A component of core modules `$0`, `$1`, …, instantiated by `wiring`; `answer` of `$main` is lifted."""
    named = "\n".join(f"(core module ${number} {text})" for number, text in enumerate(modules))
    return binary(f"(component {named} {wiring} {LIFT})")


def linked(component: bytes, *also: str) -> bytes:
    """The one core module, checked by wasm-tools."""
    core = link(read_wiring(component), also)
    with TemporaryDirectory() as directory:
        path = Path(directory, "x.wasm")
        path.write_bytes(core)
        subprocess.run([WASM_TOOLS, "validate", "--features", "all", path], check=True, capture_output=True)
    return core


def answer(core: bytes, x: int) -> int:
    """What its export `answer` says."""
    config = Config()
    config.wasm_wide_arithmetic = True
    store = Store(Engine(config))
    exports = Instance(store, Module(store.engine, core), []).exports(store)
    result = exports["answer"](store, x)  # type: ignore[operator]
    assert isinstance(result, int)
    return result
