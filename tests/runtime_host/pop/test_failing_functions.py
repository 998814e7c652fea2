"""A function that misbehaves costs its own request the personalisation, is counted, and nothing else."""

import pytest

from consent_core.decision.contract import (
    Adjustment,
    Decision,
    Err,
    Ok,
)
from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from consent_core.telemetry.prometheus import page
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction
from tests.runtime_host.pop.edge import ROOT, make_edge

SLOT = "/v1/slots/home-hero?section=camping"
HERO = "/v1/images/home-hero?w=120&section=camping"


class Scripted:
    """A function that does what it is told once, then behaves."""

    def __init__(self, directory):
        self._good = NativeFunction(directory)
        self.name, self.digest, self.export = self._good.name, self._good.digest, self._good.export
        self.next = None

    async def acall(self, *arguments):
        script, self.next = self.next, None
        if isinstance(script, Exception):
            raise script
        return self._good.call(*arguments) if script is None else script

    def call(self, *arguments):
        return self._good.call(*arguments)

    def close(self):
        pass


@pytest.fixture
def scripted(tmp_path, catalogue, run):
    validation = Scripted(ROOT / "functions/consent_validation")
    personalization = Scripted(ROOT / "functions/personalization")
    parts = {
        "validator": ConsentValidator(validation),
        "personalizers": dict.fromkeys(CATEGORIES, Personalizer(personalization)),
    }
    edge = make_edge(tmp_path, catalogue, parts=parts)
    edge.validation, edge.personalization = validation, personalization
    run(edge.sync())
    yield edge
    run(edge.pop.stop())


def decision(asset="tents", copy="About tents", brightness=0, propensity=16):
    return Ok(Decision(asset, copy, Adjustment(brightness, 0, 0), propensity, False))


MISDEEDS = [
    ("sandbox-trap", Unavailable("sandbox-trap", "unreachable")),
    ("sandbox-deadline", Unavailable("sandbox-deadline", "too long")),
    ("sandbox-memory", Unavailable("sandbox-memory", "too much")),
    ("sandbox-rubbish", decision(asset="plain", copy="About plain")),
    ("sandbox-rubbish", decision(asset="no-such-asset")),
    ("sandbox-rubbish", decision(copy="Buy now!")),
    ("sandbox-rubbish", decision(copy="About boats")),
    ("sandbox-rubbish", decision(brightness=101)),
    ("sandbox-rubbish", decision(brightness=-101)),
    ("sandbox-rubbish", decision(propensity=0)),
    ("sandbox-rubbish", decision(propensity=17)),
    ("sandbox-rubbish", Err("no-such-error")),
    ("no-signal", Err("no-signal")),
]


@pytest.mark.parametrize(("code", "misdeed"), MISDEEDS)
@pytest.mark.parametrize("path", [SLOT, HERO])
def test_a_bad_decision_becomes_the_default(scripted, run, code, misdeed, path):
    """Default, counted under its code; the very next request of the same visitor is fine."""
    token, default = scripted.token("contextual"), run(scripted.get(path)).fixed
    scripted.personalization.next = misdeed
    bad = run(scripted.get(path, token))
    good = run(scripted.get(path, token))

    assert (bad.code, bad.fixed) == (code, default)
    assert (good.code, good.fixed == default) == (None, False)
    assert f'code="{code}"' in page(scripted.pop.metrics).decode()


@pytest.mark.parametrize(
    ("code", "misdeed"),
    [
        ("sandbox-trap", Unavailable("sandbox-trap", "unreachable")),
        ("sandbox-deadline", Unavailable("sandbox-deadline", "too long")),
        ("sandbox-rubbish", Err("everything-is-fine")),
    ],
)
def test_a_validation_that_fails_believes_nobody(scripted, run, code, misdeed):
    """No claims, no personalisation, and nothing is remembered of it."""
    token = scripted.token("contextual")
    scripted.validation.next = misdeed
    bad = run(scripted.get(SLOT, token))

    assert (bad.code, bad.json()["category"]) == (code, "default")
    assert len(scripted.pop.pipeline.tokens) == 0
    assert run(scripted.get(SLOT, token)).json()["category"] == "contextual"


def test_a_render_that_fails_becomes_the_default(scripted, run):
    """The personalised picture cannot be made: everybody's is shown."""
    token, default = scripted.token("contextual"), run(scripted.get(HERO)).fixed
    real = scripted.pop.renderer.render

    async def render(recipe):
        if recipe.asset != "plain":
            raise Unavailable("render-failed", "cannot")
        return await real(recipe)

    scripted.pop.renderer.render = render
    reply = run(scripted.get(HERO, token))

    assert (reply.code, reply.fixed) == ("render-failed", default)


def test_a_bug_answers_500_without_a_stack_trace(scripted, run, caplog):
    """The log has it, the client does not; the next request is fine."""
    scripted.personalization.next = RuntimeError("secret detail")
    reply = run(scripted.get(SLOT, scripted.token("contextual")))

    assert (reply.status, reply.json()["error"]["code"]) == (500, "internal")
    assert b"secret detail" not in reply.body
    assert "secret detail" in caplog.text
    assert run(scripted.get(SLOT)).status == 200
