"""Deletes security checks one at a time and lists those that no test misses. Nightly; `make mutants`, or in parts:

    .venv/bin/python scripts/mutants.py consent_core/trust/trust_file.py consent_core/formats/token.py

A check is an `if` that only raises, a call of a function that only checks (`_require`, `check_…`, `verify…`), or a
setting of `_harden`. Each is taken out of a copy of the tree, and the tests of its room run there until the first one
fails. A *survivor* is a check that can go unnoticed: write the test that misses it. Exit 1 if there is one.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 1_200.0
LEFT_OUT = shutil.ignore_patterns(".git", "build", ".edge", ".venv", "__pycache__", "node_modules", ".*_cache")

# Where checks live -> the tests that must miss them.
TRUST = "tests/consent_core/trust"
ENROLLING = "tests/control_plane/test_enrolling.py"
TESTS: dict[str, tuple[str, ...]] = {
    "consent_core/trust/trust_file.py": (
        f"{TRUST}/test_trust_file.py",
        f"{TRUST}/test_keys_in_time.py",
        f"{TRUST}/test_keys.py",
    ),
    "consent_core/trust/svid.py": (f"{TRUST}/test_svid.py", f"{TRUST}/test_mesh.py", ENROLLING),
    "consent_core/trust/tls.py": (f"{TRUST}/test_tls.py", f"{TRUST}/test_mesh.py"),
    "consent_core/trust/mesh.py": (f"{TRUST}/test_mesh.py", f"{TRUST}/test_route_table.py"),
    "consent_core/trust/spiffe.py": (f"{TRUST}/test_spiffe.py",),
    "consent_core/trust/signatures.py": (f"{TRUST}/test_signatures.py", f"{TRUST}/test_keys.py"),
    "consent_core/trust/workload_api.py": (f"{TRUST}/test_workload_api.py",),
    "consent_core/trust/keys.py": (f"{TRUST}/test_keys.py", f"{TRUST}/test_keys_in_time.py"),
    "consent_core/trust/checkpoints.py": (
        "tests/consent_core/test_note.py",
        "tests/control_plane/ledger/test_reading.py",
        "tests/witness",
    ),
    "consent_core/trust/decision_receipts.py": (
        "tests/runtime_host/pop/test_why.py",
        "tests/edge_cli/test_replaying.py",
    ),
    "consent_core/trust/failover.py": (f"{TRUST}/test_failover.py",),
    "consent_core/trust/files.py": (ENROLLING, "tests/runtime_host/pop/test_number_one.py"),
    "consent_core/trust/mesh_client.py": (f"{TRUST}/test_mesh.py",),
    "consent_core/trust/sealing.py": ("tests/control_plane/dsar", "tests/runtime_host/pop/test_privacy.py"),
    "consent_core/trust/svid_key.py": (
        f"{TRUST}/test_svid_key.py",
        "tests/control_plane/federated",
        "tests/edge_cli/test_flctl.py",
    ),
    "consent_core/formats/token.py": ("tests/consent_core/test_token.py",),
    "consent_core/formats/enrolment.py": (ENROLLING,),
    "control_plane/enrolment/invitations.py": (ENROLLING,),
    "consent_core/http/bounded.py": ("tests/consent_core/http", "tests/runtime_host/pop/test_process.py"),
    "runtime_host/wasm/loading.py": ("tests/runtime_host/wasm/test_loading.py",),
    "runtime_host/pop/serving/routing.py": (
        "tests/runtime_host/pop/test_cross_site.py",
        "tests/runtime_host/pop/test_bad_input.py",
    ),
    "builder/deploy/access.py": ("tests/builder/deploy/test_hostile_registry.py",),
    "builder/deploy/verify.py": ("tests/builder/deploy/test_layout.py", "tests/builder/deploy/test_registry.py"),
}
HARDENING = "_harden"  # a function in which every assignment is a check
CHECKING = ("_require", "_expect", "_check", "check_", "require_", "verify", "_compare", "_same", "member_of")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One check of a file, taken out: the source without it, its line and its text."""

    file: str
    line: int
    text: str
    source: str


def mutants(file: str) -> Iterator[Mutant]:
    """Every check of a file, one at a time."""
    source = (ROOT / file).read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == HARDENING:
            settings = (setting for setting in ast.walk(node) if isinstance(setting, ast.Assign | ast.AugAssign))
            yield from (_without(file, lines, setting) for setting in settings)
        elif isinstance(node, ast.If) and _only_raises(node.body):
            yield _without(file, lines, node.body[-1])
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _checks(node.value):
            yield _without(file, lines, node)


def _only_raises(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Raise)


def _checks(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.startswith(CHECKING)


def _without(file: str, lines: list[str], node: ast.stmt) -> Mutant:
    """The source with `pass` in the statement's place."""
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    text = " ".join(line.strip() for line in lines[first:last])
    made = [*lines[:first], " " * node.col_offset + "pass\n", *lines[last:]]
    return Mutant(file, node.lineno, text, "".join(made))


def survives(mutant: Mutant, tree: Path) -> bool:
    """Whether every test of the room passes without the check. A run that never ends has missed it too."""
    place = tree / mutant.file
    original = place.read_text(encoding="utf-8")
    place.write_text(mutant.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS[mutant.file]]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    finally:
        place.write_text(original, encoding="utf-8")
    return run.returncode == 0


def main(files: list[str]) -> int:
    """Try every check of these files. Returns how many survived, at most 1."""
    left = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT, symlinks=True)
        for file in files or sorted(TESTS):
            for mutant in mutants(file):
                alive = survives(mutant, tree)
                left += alive
                word = "SURVIVES" if alive else "missed"
                _say(f"{word:8} {mutant.file}:{mutant.line}  {mutant.text[:100]}")
    _say(f"{left} checks can go unnoticed")
    return min(left, 1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
