"""A component of a key that does not count any more stops serving while it runs: default meanwhile, with a code."""

from dataclasses import dataclass

import pytest

from consent_core.decision.contract import PageContext
from consent_core.errors import Untrusted
from consent_core.formats.manifest import ComponentManifest, Limits, open_manifest, sign_manifest
from runtime_host.pop.serving.pipeline import Visit
from tests.keys_in_time import SITUATIONS, Rotated, refusals
from tests.runtime_host.pop.edge import ask, make_edge, visitor

HERO = "/v1/slots/home-hero?section=camping&tags=tent"


@dataclass(frozen=True)
class Sealed:
    """What loading keeps of a component's signature."""

    data: bytes
    envelope: bytes

    def open(self, trust, now, revoked):
        return open_manifest(self.data, self.envelope, trust, now, revoked)


def sealed(key):
    limits = Limits(64, 250)
    manifest = ComponentManifest("demo", "w", *["sha256:" + "0" * 64] * 2, "e", (), (), (), limits, {}, "", {})
    return Sealed(manifest.to_bytes(), sign_manifest(manifest, key))


@pytest.fixture
def rotated(tmp_path):
    return Rotated.of(tmp_path / "rotated", "component")


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("role", ["validator", "personalizer"])
def test_a_running_component_of_such_a_key_serves_nobody(tmp_path, catalogue, run, rotated, role, situation):
    """Warm caches and memos do not serve it; with the key back in force it serves again."""
    edge = make_edge(tmp_path, catalogue)
    pop = edge.pop
    functions = {"validator": pop._parts.validator, "personalizer": pop._parts.personalizers["contextual"]}
    by = list(rotated.good)
    components = pop.components
    components._seals = {functions[role].digest: sealed(rotated.key)}
    components._trust, components._now, components._revoked = (lambda: by[0]), (lambda: by[1]), (lambda: by[2])
    token = edge.token("contextual", sub=visitor(1))

    async def shown():
        components.look()
        answer = await edge.get(HERO, token)
        return answer.json()["category"], answer.code

    async def story():
        await edge.sync()
        before = await shown()
        by[:] = refusals(rotated)[situation][1:]
        during = await shown()
        status = (await ask(pop.admin_app, "GET", "/readyz")).json()["distrusted"]
        by[:] = rotated.good
        return before, during, status, await shown()

    before, during, status, after = run(story())
    run(pop.stop())
    assert before == after == ("contextual", None)
    assert during == ("default", "component-distrusted")
    assert [text.partition(":")[0] for text in status.values()] == ["component-distrusted"]


def test_a_component_revoked_while_it_decides_shows_nothing(tmp_path, catalogue, run):
    """Between the decision and the first byte the key may go: asked again at the last moment."""
    edge = make_edge(tmp_path, catalogue)
    pipeline = edge.pop.pipeline
    digest = pipeline.decider.personalizers["contextual"].digest
    headers = {b"authorization": f"Bearer {edge.token('contextual', sub=visitor(1))}".encode()}
    visit = Visit(headers, edge.pop.delivery.stock.places["home-hero"], PageContext("/", "camping", ("tent",), "en"))

    async def story():
        await edge.sync()
        await pipeline.decide(visit)
        before = pipeline.still_holds(visit)
        pipeline.refusal = lambda asked: Untrusted("component-distrusted", "gone") if asked == digest else None
        return before, pipeline.still_holds(visit)

    assert run(story()) == (True, False)
    run(edge.pop.stop())
