"""docs/errors.md lists every code that the source can raise, and no other."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

from consent_core.formats.token import REJECTIONS

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["packages"]
FAMILIES = {"Rejected", "Untrusted", "Unavailable"}
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (\w+) \| (\d{3}|–) \| .+ \| .+ \|$", re.MULTILINE)


@cache
def raised_codes():
    """Code -> family, from every construction of one of our errors with a literal code."""
    codes = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAMILIES:
                    for code in literal_codes(node.args[0] if node.args else None):
                        codes[code] = node.func.id
    return codes


def literal_codes(argument):
    """`"a"`, and both arms of `"a" if x else "b"`."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.IfExp):
        return literal_codes(argument.body) + literal_codes(argument.orelse)
    return []


def documented_codes():
    """Code -> family, from the table."""
    return {code: family for code, family, _ in ROW.findall((ROOT / "docs/errors.md").read_text())}


def test_every_code_in_the_source_is_documented():
    """A code that users meet can be looked up."""
    missing = {code: family for code, family in raised_codes().items() if code not in documented_codes()}

    assert missing == {}


def test_families_agree():
    """The table says who must act as the source does."""
    documented = documented_codes()
    wrong = {code: family for code, family in raised_codes().items() if documented.get(code, family) != family}

    assert wrong == {}


def test_no_documented_code_is_unknown_to_the_source():
    """A code that nothing says any more is not in the table."""
    source = "\n".join(
        path.read_text()
        for package in (*PACKAGES, "functions", "consent_sdk", "wit")
        for pattern in ("*.py", "*.js", "*.wit")
        for path in (ROOT / package).rglob(pattern)
    )
    words = "\n".join(set(re.findall(r"[\w-]+", source)))  # each once: a search through all of it takes seconds
    stale = [code for code in documented_codes() if not re.search(rf"\b{code}\b", words)]

    assert stale == []


def test_the_table_is_sorted_and_every_row_is_well_formed():
    """Two people adding a row meet at the same place."""
    text = (ROOT / "docs/errors.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]

    assert [ROW.match(line) is not None for line in rows] == [True] * len(rows)
    codes = [row.split("`")[1] for row in rows]
    assert codes == sorted(codes)


def test_every_token_rejection_is_documented():
    """The parser's codes are data, so they are compared by themselves."""
    assert set(REJECTIONS) <= documented_codes().keys()
