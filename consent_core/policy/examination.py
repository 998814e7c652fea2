"""Compile, check and evaluate unreviewed Rego in a process of its own.

    answers = examine(modules, data, queries=[("consent_edge/consent/decision", {"jurisdiction": "EU"})])

The process has no environment, a memory limit and a deadline. If the engine ends it, only that examination fails.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from consent_core.errors import Rejected
from consent_core.policy.capabilities import ALLOWED

DEADLINE_S = 60.0
ENGINE = Path(__file__).with_name("engine.py")

Query = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One `test_` rule of a `*_test.rego` file and how it went."""

    name: str
    file: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Examination:
    """What the engine said: answers in the order of the queries, tests, and the built-ins the rules call."""

    answers: tuple[Any, ...]
    tests: tuple[RuleTest, ...]
    builtins: tuple[str, ...]


def examine(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    queries: Sequence[Query],
    tests: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> Examination:
    """Answer `queries` and run the `tests` modules, unless a rule calls a built-in that is not allowed.

    Raises: Rejected("policy-builtin" | "policy-compile" | "policy-engine").
    """
    request = {
        "modules": dict(modules),
        "data": dict(data),
        "queries": [list(query) for query in queries],
        "entrypoints": sorted({entrypoint for entrypoint, _ in queries}),
        "tests": dict(tests or {}),
        "allowed": sorted(ALLOWED),
    }
    return _read(_steps(json.dumps(request), deadline_s))


def _steps(request: str, deadline_s: float) -> list[dict[str, Any]]:
    """The lines the engine's process wrote before it ended, whichever way it did."""
    try:
        process = subprocess.run(
            [sys.executable, "-I", str(ENGINE)],
            input=request,
            capture_output=True,
            text=True,
            env={},
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired as error:
        raise Rejected("policy-engine", f"no end within {deadline_s:g} s", status=422) from error
    return [json.loads(line) for line in process.stdout.splitlines() if line.endswith("}")]


def _read(steps: list[dict[str, Any]]) -> Examination:
    if not steps or "done" not in steps[-1]:
        _refuse(steps)
    return Examination(
        answers=tuple(step["answer"] for step in steps if "answer" in step),
        tests=tuple(RuleTest(step["test"], step["file"], step["passed"]) for step in steps if "test" in step),
        builtins=tuple(next(step["builtins"] for step in steps if "builtins" in step)),
    )


def _refuse(steps: list[dict[str, Any]]) -> NoReturn:
    doing = next((step["doing"] for step in reversed(steps) if "doing" in step), "starting")
    reason = str(steps[-1].get("failed", "")) if steps else ""
    used = {name for step in steps for name in step.get("builtins", ())}
    if used - ALLOWED:
        names = ", ".join(sorted(used - ALLOWED))
        raise Rejected("policy-builtin", f"forbidden built-in while {doing}: {names}", status=422)
    if reason:
        raise Rejected("policy-compile", f"failed while {doing}: {reason}", status=422)
    raise Rejected("policy-engine", f"the engine ended its process while {doing}", status=422)
