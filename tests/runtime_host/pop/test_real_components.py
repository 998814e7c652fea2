"""The same POP with the components that are deployed, in fresh sandboxes: the same answers as with native twins."""

import asyncio
from dataclasses import replace

import pytest

from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Interaction
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import SandboxPool
from tests.runtime_host.pop.edge import make_edge, visitor

SLOTS = ("home-hero", "member-banner", "promo-tile")


@pytest.fixture(scope="module")
def functions(components):
    """Both components, loaded once."""
    pools = {
        name: SandboxPool(load_component(components[name], components.trust, now=0, revoked=frozenset()))
        for name in ("consent_validation", "personalization")
    }
    yield ConsentValidator(pools["consent_validation"]), Personalizer(pools["personalization"])
    for pool in pools.values():
        pool.close()


@pytest.fixture
def both(functions, tmp_path, catalogue, run):
    """Two POPs that differ in nothing but what runs their functions."""
    validator, personalizer = functions
    parts = {"validator": validator, "personalizers": dict.fromkeys(CATEGORIES, personalizer)}
    made = [make_edge(tmp_path / "native", catalogue), make_edge(tmp_path / "real", catalogue, parts=parts)]
    for edge in made:
        edge.pop.pipeline._rules = replace(edge.pop.pipeline._rules, pop_key=b"k" * 32)
        for who in range(4):
            row = Interaction(subject_of(visitor(who)), 1, "behavioral", "purchase", "tent", ("camping", "tent"))
            edge.pop.store.history.record(row)
        run(edge.sync())
    yield made
    for edge in made:
        run(edge.pop.stop())


def test_components_answer_like_their_native_twins(both, run):
    """Every slot, every set of choices, several visitors; a few requests overlap."""
    native, real = both

    async def everything(edge):
        asked = [
            (f"/v1/slots/{slot}?section={section}", edge.token(*scopes, sub=visitor(who)))
            for who in range(4)
            for scopes in ((), ("contextual",), ("behavioral",), CATEGORIES)
            for slot in SLOTS
            for section in ("camping", "water")
        ]
        replies = []
        for first in range(0, len(asked), 8):  # a few at a time: on a busy machine a long queue is refused
            replies += await asyncio.gather(*(edge.get(path, token) for path, token in asked[first : first + 8]))
        return [{k: v for k, v in reply.json().items() if k != "rendition"} | {"code": reply.code} for reply in replies]

    assert run(everything(real)) == run(everything(native))


def test_a_refused_token_has_the_same_code(both, run):
    """The component's refusals reach the header as the parser names them."""
    for edge in both:
        expired = edge.token("contextual", iat=edge.clock.now() - 300, exp=edge.clock.now())
        forged = edge.token("contextual")[:-8] + "AAAAAAAA"

        assert run(edge.get("/v1/slots/home-hero", expired)).code == "token-expired"
        assert run(edge.get("/v1/slots/home-hero", forged)).code == "token-signature"
