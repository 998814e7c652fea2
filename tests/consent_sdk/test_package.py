"""The SDK as others get it: types that hold, a package that is whole, a size that is known."""

import gzip
import json
import re
import subprocess

import pytest

from consent_core.formats.consent import RETENTION_S

from .conftest import NODE, SDK

NPM = SDK.parent / "tests" / "consent_sdk" / "npm" / "node_modules"
LARGEST = {
    "consent-edge.js": 29_000,
    "panel.js": 38_000,
    "why.js": 6_000,
    "measure.js": 6_000,
}  # bytes as served, each file gzipped, comments and all


def node(script, *arguments):
    """Run a program of an npm package. Returns what it said if it failed."""
    assert NPM.exists(), "npm packages are missing: scripts/setup tests"
    command = [NODE, NPM / script, *arguments]
    run = subprocess.run(command, cwd=SDK, capture_output=True, text=True, timeout=300, check=False)
    return run.stdout + run.stderr if run.returncode else ""


def modules_of(entry):
    """Every file that a module's static imports lead to."""
    found, left = set(), [SDK / entry]
    while left:
        path = left.pop().resolve()
        if path not in found:
            found.add(path)
            left += [path.parent / name for name in re.findall(r'from "(\.[^"]+)"', path.read_text())]
    return found


def test_the_types_take_what_a_page_writes_and_refuse_the_rest():
    """`tsc`, strict, over a page in TypeScript; its `@ts-expect-error` lines must be errors."""
    options = ["--noEmit", "--strict", "--target", "esnext", "--module", "nodenext", "--skipLibCheck", "false"]

    assert node("typescript/bin/tsc", *options, "--lib", "esnext,dom,dom.iterable", "tests/types/page.ts") == ""


def test_every_public_name_has_a_type_and_every_type_a_name():
    """The two lists are one."""
    exports = re.findall(r"export \{ ([^}]+) \}", (SDK / "consent-edge.js").read_text())
    names = {name.strip() for group in exports for name in group.split(",")}
    types = set(re.findall(r"export (?:const|class|function) (\w+)", (SDK / "consent-edge.d.ts").read_text()))

    assert names == types


def test_publint_finds_nothing():
    """What the package promises is there, in the form that bundlers expect."""
    assert node("publint/src/cli.js", "--strict", "--pack", "false") == ""


def test_the_package_holds_every_module():
    """No import leads to a file that is left at home."""
    files = json.loads((SDK / "package.json").read_text())["files"]
    for entry in LARGEST:
        for path in modules_of(entry):
            name = path.relative_to(SDK)
            assert str(name) in files or name.parts[0] in files


@pytest.mark.parametrize("entry", LARGEST)
def test_what_a_page_loads_is_bounded(entry):
    """Readable modules, as a POP sends them."""
    assert sum(len(gzip.compress(path.read_bytes())) for path in modules_of(entry)) <= LARGEST[entry]


def test_every_code_of_the_module_is_documented():
    """A code that a page meets can be looked up."""
    sources = "".join(path.read_text() for path in (SDK / "lib").glob("*.js"))
    codes = set(re.findall(r'ConsentError\((?:error\.code \?\? )?"([a-z-]+)"', sources))
    documented = (SDK.parent / "docs" / "errors.md").read_text()

    assert len(codes) == 8
    assert all(f"| `{code}` |" in documented for code in codes)


def test_the_panel_names_the_retentions_that_records_have():
    """What a first visitor reads is what a record will say."""
    told = re.search(r"RETENTION_S = \{ (.+?) \}", (SDK / "panel" / "view.js").read_text())
    assert told is not None
    pairs = (pair.split(": ") for pair in told[1].split(", "))

    assert {name: int(value.replace("_", "")) for name, value in pairs} == dict(RETENTION_S)
