"""A deletion goes from the request to a file that a stranger verifies, and to the end of its proofs."""

import pytest

from consent_core.evidence.opening import Circumstances
from consent_core.evidence.verdict import judge
from consent_core.trust.sealing import unseal
from control_plane.dsar.closing import CLOSING, PACK
from tests.control_plane.dsar.world import World, subject


@pytest.fixture
def world(plane):
    return World(plane).begin()


def fetched(world, opened):
    """What the asker reads with the secret."""
    with world.plane.database.read() as connection:
        from control_plane.dsar import store

        answers = store.answers_of(connection, opened.request.id)
    return {what: unseal(opened.secret, sealed, what) for what, sealed in answers.items()}


def problems(verdict):
    return {found.code: found.message for result in verdict.results for found in result.findings}


def test_a_deletion_closes_with_a_file_that_verifies(world):
    """Two POPs and the control plane counted 0, the proofs are gone, and our verifier believes all of it offline."""
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    world.until_closed(opened.request.id)
    answers = fetched(world, opened)
    trust = world.plane.keys.trust_file().to_bytes()
    found = Circumstances(world.plane.settings.clock.now(), closing=answers[CLOSING].decode())
    verdict = judge(answers[PACK], trust, found)

    assert world.state(opened.request.id) == "fulfilled"
    assert problems(verdict) == {}
    assert verdict.exit_code == 0
    shown = {result.name: result.verdict for result in verdict.results}
    assert (shown["deletion"], shown["completeness"]) == ("holds", "holds")
    with world.plane.database.read() as connection:
        assert world.plane.proofs.count(connection, subject(visitor)) == 0
