"""What docs/ says about functions, tokens and manifests is what happens."""

import re
from dataclasses import fields
from pathlib import Path

from builder import source
from builder.guest_lint import lint_guest
from builder.source import find_function, roots
from consent_core.decision.contract import Candidate, PageContext, Signals
from consent_core.formats.manifest import ComponentManifest
from consent_core.formats.token import REJECTIONS
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.native import NativeFunction
from tests.conftest import ROOT

FUNCTIONS = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")


def block(text: str, language: str) -> str:
    """The first code block of that language."""
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_first_function_of_the_docs_works(tmp_path: Path) -> None:
    """Copied as it stands, it is read, linted and run."""
    hello = tmp_path / "functions" / "hello"
    hello.mkdir(parents=True)
    (hello / "function.toml").write_text(block(FUNCTIONS, "toml"))
    (hello / "app.py").write_text(block(FUNCTIONS, "python"))

    function = find_function("hello", roots(tmp_path))
    signals = Signals(page=PageContext("/", "winter", (), "en"))
    decision = Personalizer(NativeFunction(hello)).decide("s", signals, [Candidate("snow", (), ("Hello",))], 0)

    assert lint_guest(function.files) == ()
    assert (decision.asset, decision.copy) == ("snow", "Hello")


def test_every_setting_is_documented() -> None:
    """function.toml takes what docs/functions.md names, and nothing else."""
    named = set(
        re.findall(r"`([a-z-]+)`", "\n".join(line for line in FUNCTIONS.splitlines() if line.startswith("| `")))
    )

    assert source._FIELDS - {"description"} <= named


def test_the_tokens_refusals_are_documented_in_order() -> None:
    """The table of the format page is the order of the checks."""
    page = (ROOT / "docs" / "formats" / "consent-token.md").read_text(encoding="utf-8")

    assert tuple(re.findall(r"^\| `(token-[a-z0-9-]+)` \|", page, re.MULTILINE)) == REJECTIONS


def test_the_tokens_refusals_are_those_of_the_contract() -> None:
    """The WIT enum has the same cases in the same order."""
    wit = (ROOT / "wit" / "world.wit").read_text(encoding="utf-8")
    cases = re.search(r"enum rejection \{(.*?)\}", wit, re.DOTALL)

    assert cases is not None
    assert tuple(re.findall(r"token-[a-z0-9-]+", cases[1])) == REJECTIONS


def test_every_field_of_the_manifest_is_documented() -> None:
    """The example shows the whole of it."""
    page = (ROOT / "docs" / "formats" / "component-manifest.md").read_text(encoding="utf-8")
    example = block(page, "json")

    assert {field.name for field in fields(ComponentManifest)} <= set(re.findall(r'"([a-z_]+)":', example))
