"""Tiny guests in core WebAssembly text, made components against a WIT contract. Some of them are hostile."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from wasmtime.component import Component

from runtime_host.wasm.engine import shared_engine

ROOT = Path(__file__).parents[3]
WASM_TOOLS = Path(sys.executable).with_name("wasm-tools")
CONTRACT = (ROOT / "wit" / "world.wit").read_text()

# A guest's memory grows upwards and is never freed: an instance serves one request.
MEMORY = """
  (memory (export "memory") {pages})
  (global $top (mut i32) (i32.const 65536))
  (func $realloc (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32)
      (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get $new)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $new) (i32.const 65536))))))
    (local.get $at))
"""

DECIDE = "consent-edge:functions/personalization@0.1.0#decide"
VALIDATE = "consent-edge:functions/consent@0.1.0#validate"


@cache
def component(core: str, wit: str, world: str) -> bytes:
    """A component of `world` around a core module that follows the canonical ABI."""
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "core.wat").write_text(core)
        (folder / "world.wit").write_text(wit)
        _wasm_tools("component", "embed", "world.wit", "core.wat", "--world", world, "-o", "core.wasm", cwd=folder)
        _wasm_tools("component", "new", "core.wasm", "-o", "finished.wasm", cwd=folder)
        return (folder / "finished.wasm").read_bytes()


def core_of_decide(body: str, extra: str = "", pages: int = 2) -> str:
    """The core module of a personalisation guest."""
    return f"""(module {MEMORY.format(pages=pages)} {extra}
      (func (export "{DECIDE}") (param $arguments i32) (result i32)
        (local $candidate i32) (local $copy i32) {body}))"""


def deciding(body: str, extra: str = "", pages: int = 2) -> bytes:
    """A personalisation guest: `body` turns $arguments (address) into the address of its result."""
    return component(core_of_decide(body, extra, pages), CONTRACT, "edge-personalization")


def validating(body: str, extra: str = "", pages: int = 2) -> bytes:
    """A validation guest: `body` ends with the address of its result."""
    core = f"""(module {MEMORY.format(pages=pages)} {extra}
      (func (export "{VALIDATE}") (param $token i32) (param $token-size i32) (param $keys i32) (param $key-count i32)
        (param $issuer i32) (param $issuer-size i32) (param $audience i32) (param $audience-size i32)
        (param $now i64) (param $leeway i32) (result i32) {body}))"""
    return component(core, CONTRACT, "consent-validation-finished")


ECHO_WIT = """
package test:echo@0.1.0;
interface echo {
  enum colour { red, green, deep-blue }
  record point { x: s16, y: s16, the-label: string }
  record everything {
    yes: bool, a: s8, b: u8, c: s16, d: u16, e: s32, f: u32, g: s64, h: u64, i: f32, j: f64,
    text: string, texts: list<string>, raw: list<u8>, points: list<point>, colour: colour, colours: list<colour>,
    maybe-text: option<string>, maybe-point: option<point>, maybe-points: option<list<point>>,
    outcome: result<string, colour>, silent: result<_, colour>, nested: list<list<u32>>,
  }
  echo: func(value: everything) -> everything;
}
world echoing { export echo; }
"""


def echo() -> bytes:
    """Returns what it is given: a large record goes in and comes out by address, in one and the same layout."""
    core = f"""(module {MEMORY.format(pages=2)}
      (func (export "test:echo/echo@0.1.0#echo") (param i32) (result i32) local.get 0))"""
    return component(core, ECHO_WIT, "echoing")


def _wasm_tools(*arguments: str, cwd: Path) -> None:
    done = subprocess.run([WASM_TOOLS, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, slots=True)
class Compiled:
    """A guest ready for a sandbox pool, without the files and signatures of a real one."""

    component: Component
    name: str = "guest"
    digest: str = "sha256:" + "0" * 64
    memory_bytes: int = 64 * 1024 * 1024
    deadline_s: float = 0.25


@cache
def compiled(wasm: bytes) -> Compiled:
    """Compile a tiny guest for this process's engine."""
    return Compiled(Component(shared_engine(), wasm))


# result<decision, decision-error> at 1024: asset and copy of the first candidate, brightness = entropy.
FIRST_CANDIDATE = """
  (local.set $candidate (i32.load offset=76 (local.get $arguments)))
  (local.set $copy (i32.load offset=16 (local.get $candidate)))
  (i32.store8 offset=1024 (i32.const 0) (i32.const 0))
  (i32.store offset=1028 (i32.const 0) (i32.load (local.get $candidate)))
  (i32.store offset=1032 (i32.const 0) (i32.load offset=4 (local.get $candidate)))
  (i32.store offset=1036 (i32.const 0) (i32.load (local.get $copy)))
  (i32.store offset=1040 (i32.const 0) (i32.load offset=4 (local.get $copy)))
  (i32.store16 offset=1044 (i32.const 0) (i32.load8_u offset=84 (local.get $arguments)))
  (i32.store offset=1046 (i32.const 0) (i32.const 0))
"""


def counting() -> bytes:
    """Decides for the first candidate; `propensity` says how many calls this instance has had."""
    body = f"""{FIRST_CANDIDATE}
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store8 offset=1050 (i32.const 0) (global.get $calls))
      (i32.store8 offset=1051 (i32.const 0) (i32.const 0))
      (i32.const 1024)"""
    return deciding(body, "(global $calls (mut i32) (i32.const 0))")


def remembering() -> bytes:
    """Answers with the asset of the call before, if this instance had one."""
    body = f"""{FIRST_CANDIDATE}
      (if (global.get $kept) (then
        (i32.store offset=1028 (i32.const 0) (global.get $kept))
        (i32.store offset=1032 (i32.const 0) (global.get $kept-size))))
      (global.set $kept (i32.load (local.get $candidate)))
      (global.set $kept-size (i32.load offset=4 (local.get $candidate)))
      (i32.store16 offset=1050 (i32.const 0) (i32.const 1))
      (i32.const 1024)"""
    return deciding(body, "(global $kept (mut i32) (i32.const 0)) (global $kept-size (mut i32) (i32.const 0))")


def trapping_when(slot_byte: str, otherwise: str) -> bytes:
    """Runs `otherwise` unless the slot's name starts with `slot_byte`, which traps."""
    return deciding(
        f"""(if (i32.eq (i32.load8_u (i32.load (local.get $arguments))) (i32.const {ord(slot_byte)}))
          (then unreachable))
        {otherwise}"""
    )
