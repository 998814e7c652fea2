"""Finishing a component changes no answer, and an instance knows nothing but public data. `--inputs 1000` asks more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import build
from builder.finish import finish
from builder.gate import surface_of
from consent_core.decision.contract import Err, Ok
from runtime_host.wasm.exports import DECIDE, VALIDATE
from tests.builder.finish.answers import Both, both, decisions, validations
from tests.conftest import ROOT, Components

INPUTS = {"personalization": decisions, "consent_validation": validations}


@pytest.fixture(scope="module", params=INPUTS)
def function(
    request: pytest.FixtureRequest, components: Components, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Both]]:
    pair = both(request.param, components, tmp_path_factory.mktemp("bare"))
    yield request.param, pair
    pair.close()


def test_both_answer_alike(function: tuple[str, Both], pytestconfig: pytest.Config) -> None:
    """Decisions and claims, refusals and the largest inputs, to the last number."""
    name, pair = function
    answers = [pair.answers(*arguments) for arguments in INPUTS[name](pytestconfig.getoption("--inputs"), seed=1)]

    assert [bare for bare, _ in answers] == [finished for _, finished in answers]
    assert {type(bare) for bare, _ in answers} == {Ok, Err}


def test_nothing_but_the_contract_is_exported(function: tuple[str, Both], components: Components) -> None:
    """No import, and no interface besides: what componentize-py used itself is gone."""
    name, pair = function
    surface = surface_of(components[name] / f"{name}.wasm")

    assert surface.imports == ()
    assert surface.exports == (pair.finished.export.interface,)


def test_an_instance_answers_as_if_it_were_the_first(function: tuple[str, Both]) -> None:
    """Opposite requests in turn: no answer depends on what was asked before, of this instance's kind or any."""
    name, pair = function
    asked = list(INPUTS[name](12, seed=2))
    first = [pair.finished.call(*arguments) for arguments in asked]
    again = [pair.finished.call(*arguments) for arguments in reversed(asked)]

    assert list(reversed(again)) == first


def test_the_image_holds_the_public_requests_and_no_other(function: tuple[str, Both], components: Components) -> None:
    """The calls it was taken after may be found in it: they are in our source. Of a request nothing can be."""
    name, pair = function
    public = {"personalization": DECIDE, "consent_validation": VALIDATE}[name].public
    image = (components[name] / f"{name}.wasm").read_bytes()
    texts = {text for request in public for text in _texts(request)}
    secret = "visitor-7c1f"
    pair.finished.call(*_with(name, secret))

    assert any(text.encode() in image for text in texts)
    assert secret.encode() not in image
    assert not any(secret in repr(answer) for answer in pair.answers(*public[0]))


def test_finishing_again_gives_the_same_bytes(components: Components, tmp_path: Path) -> None:
    """From the link on a build is reproducible: what differs between two builds is componentize-py's own output."""
    key = components.store.current("component")
    (result,) = build(["personalization"], root=ROOT, out=components.directory, signer=key)
    shutil.copytree(ROOT / "wit", tmp_path / "wit")
    finished = finish(result.bare, tmp_path / "wit", (result.manifest.world,), tmp_path / "again.wasm")

    assert finished.steps == result.manifest.steps == ("link", "image", "immortal")
    assert (tmp_path / "again.wasm").read_bytes() == (result.directory / result.manifest.wasm_file).read_bytes()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _texts(each)


def _with(name: str, secret: str) -> tuple[object, ...]:
    first = (DECIDE if name == "personalization" else VALIDATE).public[0]
    return (secret, *first[1:])
