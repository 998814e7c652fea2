"""The Rego engine: compile modules, ask entry points. Also the program that does so in a process of its own.

Two things about rego-cpp 1.5.2 shape this file. It ends the whole process on some inputs (a built-in call below
`with input as`), so nothing unreviewed is compiled in a server's process. And its typed inputs cut strings at a
zero byte and leave escapes unread, so inputs go in as JSON text.

Imports nothing of ours: `examination` runs this file as `python -I engine.py`, with no environment.
"""

import json
import os
import re
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regopy import Interpreter
from regopy.rego_shared import LogLevel

MEMORY_BYTES = 1024**3  # resident, of the separate process; address space says nothing, the engine reserves 256 GiB
CPU_S = 60
WATCH_S = 0.05
UNDEFINED = "undefined"

_TEST = re.compile(r"^(test_[A-Za-z0-9_]*)", re.MULTILINE)


class EngineFailure(Exception):
    """The engine refused the modules or could not answer."""


class Engine:
    """Modules compiled for some entry points (`package/path/rule`). Not for use by two threads at once."""

    def __init__(self, modules: Mapping[str, str], data: Mapping[str, Any], entrypoints: Sequence[str]) -> None:
        self._interpreter = Interpreter()
        self._interpreter.log_level = LogLevel.NONE
        for name, source in sorted(modules.items()):
            self._interpreter.add_module(name, source)
        self._interpreter.add_data_json(json.dumps(data))
        self._plan = self._interpreter.build(None, list(entrypoints))
        if not self._plan.ok():
            raise EngineFailure("the modules do not compile")

    def ask(self, entrypoint: str, text: str) -> Any:
        """The entry point's value for this input, which is JSON text; None if it is undefined."""
        self._interpreter.set_input_term(text)
        output = self._interpreter.query_bundle_entrypoint(self._plan, entrypoint)
        if not output.ok():
            raise EngineFailure(f"{entrypoint} failed")
        if str(output) == UNDEFINED:
            return None
        return output.results[0].expressions[0]

    def plan(self) -> Any:
        """The compiled plan, in OPA's intermediate representation."""
        with tempfile.TemporaryDirectory() as folder:
            self._interpreter.save_bundle(f"{folder}/plan", self._plan)
            return json.loads(Path(folder, "plan", "plan.json").read_text("utf-8"))


def json_text(value: Any) -> str:
    """The one spelling of an input. Raises: ValueError or TypeError if it has no JSON form."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    text.encode("utf-8")  # a lone surrogate has no JSON form
    return text


def builtins_of(plan: Any) -> list[str]:
    """Every built-in function that compiled rules call, dead rules included."""
    return sorted(function["name"] for function in plan["static"].get("builtin_funcs", []))


def rules_of(plan: Any) -> list[str]:
    """Every compiled rule, as `package/path/rule`."""
    names = (function["name"].split(".data.", 1)[-1] for function in plan["funcs"]["funcs"])
    return sorted({name.replace(".", "/") for name in names})


def examine(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Compile, list built-ins, answer the queries, run the tests: one step at a time, each announced before it."""
    modules, data, allowed = request["modules"], request["data"], set(request["allowed"])
    yield {"doing": "compiling the policies"}
    engine = Engine(modules, data, request["entrypoints"])
    yield from _refusals(engine, allowed)
    for entrypoint, value in request["queries"]:
        yield {"doing": f"evaluating {entrypoint}"}
        yield {"answer": engine.ask(entrypoint, json_text(value))}
    for name, source in sorted(request["tests"].items()):
        yield {"doing": f"compiling {name}"}
        yield from _run_tests(name, {**modules, name: source}, data, allowed)
    yield {"done": True}


def _refusals(engine: Engine, allowed: set[str]) -> Iterator[dict[str, Any]]:
    """Nothing is evaluated unless every built-in is allowed."""
    used = builtins_of(engine.plan())
    yield {"builtins": used}
    refused = sorted(set(used) - allowed)
    if refused:
        raise EngineFailure(f"forbidden built-in: {', '.join(refused)}")


def _run_tests(
    name: str, modules: Mapping[str, str], data: Mapping[str, Any], allowed: set[str]
) -> Iterator[dict[str, Any]]:
    package = _package(modules[name]).replace(".", "/")
    tests = [f"{package}/{test}" for test in _TEST.findall(modules[name])]
    engine = Engine(modules, data, tests or [package])
    yield from _refusals(engine, allowed)
    if {rule for rule in rules_of(engine.plan()) if rule.startswith(f"{package}/test_")} != set(tests):
        raise EngineFailure("every test begins a line")
    for test in tests:
        yield {"doing": f"running {test}"}
        yield {"test": test, "file": name, "passed": _passes(engine, test)}


def _passes(engine: Engine, test: str) -> bool:
    try:
        return engine.ask(test, "{}") is True
    except Exception:  # a test that the engine could not run did not pass
        return False


def _package(source: str) -> str:
    for line in source.splitlines():
        if line.startswith("package "):
            return line.removeprefix("package ").split("#")[0].strip()
    raise EngineFailure("a module without a package")


def main() -> None:
    """Read one request from standard input, write one line of JSON per step to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_watch_memory, daemon=True).start()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as steps:
        os.dup2(2, 1)  # the engine prints to standard output
        try:
            for step in examine(json.load(sys.stdin)):
                steps.write(json.dumps(step) + "\n")
                steps.flush()
        except Exception as error:
            steps.write(json.dumps({"failed": str(error)[:4000] or type(error).__name__}) + "\n")


def _watch_memory() -> None:
    """End the process when it grows too large. The engine's calls release the interpreter lock."""
    page = resource.getpagesize()
    while int(Path("/proc/self/statm").read_text().split()[1]) * page < MEMORY_BYTES:
        time.sleep(WATCH_S)
    os._exit(1)


if __name__ == "__main__":
    main()
