"""`make mutants`: its table leads to files that are there, and each check that it deletes is one."""

import importlib.util
import sys

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "scripts/mutants.py")
assert SPEC is not None
assert SPEC.loader is not None
mutants = sys.modules["mutants"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutants)


@pytest.mark.parametrize("file", mutants.TESTS)
def test_each_room_has_checks_and_tests_that_must_miss_them(file):
    """A file that moved does not leave the list silently."""
    found = list(mutants.mutants(file))

    assert found
    assert all((ROOT / test).exists() for test in mutants.TESTS[file])
    for mutant in found:
        compile(mutant.source, file, "exec")
        assert mutant.source != (ROOT / file).read_text()


def test_all_of_trust_is_listed():
    """A new file with checks is tried too."""
    rooms = {f"consent_core/trust/{path.name}" for path in (ROOT / "consent_core/trust").glob("*.py")}
    with_checks = {file for file in rooms if list(mutants.mutants(file))}

    assert with_checks <= set(mutants.TESTS)
