"""Tiny guests in core WebAssembly text, made components against a WIT contract. Some of them are hostile."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

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


def deciding(body: str, extra: str = "", pages: int = 2) -> bytes:
    """A personalisation guest: `body` turns $arguments (address) into the address of its result."""
    core = f"""(module {MEMORY.format(pages=pages)} {extra}
      (func (export "{DECIDE}") (param $arguments i32) (result i32) {body}))"""
    return component(core, CONTRACT, "edge-personalization")


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
