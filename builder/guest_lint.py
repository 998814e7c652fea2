"""Refuse guest code that a sandbox cannot run, by file and line, before minutes go into building it.

A sandbox has no clock, entropy, files, network, output or threads: such a call traps, or, worse, answers the
same in every instance (`random`). Everything a guest needs is an argument. Imports work only while the module loads.

    lint_guest({"app.py": b"import random\n"})  ->  (Finding("app.py", 1, "random: …"),)
"""

import ast
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from consent_core.errors import Rejected

_CLOCK = "a sandbox has no clock; take the time as an argument"
_ENTROPY = "entropy is frozen at build time, every instance would draw the same; take it as an argument"
_FILES = "a sandbox has no files; bake data into a module"
_NETWORK = "a sandbox has no network"
_PROCESS = "a sandbox has no processes, threads or environment"
_OUTPUT = "a sandbox has no output; return what matters"
_DYNAMIC = "a guest runs only the code that was built and signed"

FORBIDDEN_IMPORTS = {
    **dict.fromkeys(("time", "sched", "zoneinfo"), _CLOCK),
    **dict.fromkeys(("random", "secrets", "uuid"), _ENTROPY),
    **dict.fromkeys(("io", "pathlib", "shutil", "tempfile", "glob", "sqlite3", "dbm", "shelve", "mmap"), _FILES),
    **dict.fromkeys(("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "select", "selectors"), _NETWORK),
    **dict.fromkeys(
        ("os", "subprocess", "multiprocessing", "threading", "concurrent", "asyncio", "signal", "ctypes"), _PROCESS
    ),
    **dict.fromkeys(("logging", "warnings", "getpass", "curses"), _OUTPUT),
    **dict.fromkeys(("importlib", "pickle", "marshal", "runpy", "code"), _DYNAMIC),
}
FORBIDDEN_CALLS = {
    "open": _FILES,
    "print": _OUTPUT,
    "input": _OUTPUT,
    "breakpoint": _OUTPUT,
    "eval": _DYNAMIC,
    "exec": _DYNAMIC,
    "compile": _DYNAMIC,
    "__import__": _DYNAMIC,
    "hash": "differs between native runs and is the same in every sandbox; use binascii.crc32 or hashlib",
    "id": "differs between runs",
}
FORBIDDEN_METHODS = {
    **dict.fromkeys(("now", "utcnow", "today", "monotonic", "perf_counter"), _CLOCK),
    **dict.fromkeys(("urandom", "uuid1", "uuid4", "token_bytes", "token_hex", "getrandbits"), _ENTROPY),
}
HARMLESS = frozenset({"urllib.parse"})  # pure text, whatever its package does
PROVIDED = frozenset({"wit_world", "componentize_py_types"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One line that cannot work in a sandbox."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def check_guest(
    files: Mapping[str, bytes], dependencies: Iterable[str] = (), folder: str = "", *, wasi: bool = False
) -> None:
    """Raise Rejected("build-lint") naming every line.

    `dependencies`: top-level modules that are installed along. `folder`: where the guest's own modules live.
    `wasi`: the host gives it entropy.
    """
    findings = tuple(entry for entry in lint_guest(files, dependencies) if not (wasi and _ENTROPY in entry.message))
    if findings:
        places = (str(finding) if "/" in finding.path else f"{folder}{finding}" for finding in findings)
        raise Rejected("build-lint", "\n".join(places))


# CPython 3.11 counts the depth of trees it makes once for all threads; builds run in several (cpython#106905).
_PARSING = threading.Lock()


def lint_guest(files: Mapping[str, bytes], dependencies: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Every finding in the guest's modules (path -> source), in order."""
    known = PROVIDED | set(dependencies) | {path.split("/")[0].removesuffix(".py") for path in files}
    return tuple(sorted(finding for path, source in files.items() for finding in _lint_module(path, source, known)))


def _lint_module(path: str, source: bytes, known: set[str] | frozenset[str]) -> Iterator[Finding]:
    try:
        with _PARSING:
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        yield Finding(path, getattr(error, "lineno", None) or 1, f"not Python: {error.args[0]}")
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_at(path, node, fault) for alias in node.names for fault in _import_faults(alias.name, known))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (_at(path, node, fault) for fault in _import_faults(node.module or "", known))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (_at(path, late, "import inside a function: it fails at run time") for late in _imports(node))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in FORBIDDEN_CALLS:
            yield _at(path, node, f"{node.id}: {FORBIDDEN_CALLS[node.id]}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in FORBIDDEN_METHODS:
                yield _at(path, node, f"{method}: {FORBIDDEN_METHODS[method]}")


def _import_faults(module: str, known: set[str] | frozenset[str]) -> Iterator[str]:
    top = module.split(".")[0]
    if top in known or module in HARMLESS:
        return
    if top in FORBIDDEN_IMPORTS:
        yield f"{module}: {FORBIDDEN_IMPORTS[top]}"
    elif top not in sys.stdlib_module_names:
        yield f"{module}: neither the standard library, nor beside app.py, nor a dependency in function.toml"


def _imports(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """Imports directly inside this function; nested functions report their own."""
    pending: list[ast.AST] = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def _at(path: str, node: ast.AST, message: str) -> Finding:
    return Finding(path, getattr(node, "lineno", 1), message)
