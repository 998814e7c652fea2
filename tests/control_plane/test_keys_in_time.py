"""What the control plane signs with its log key opens nothing once the key is rotated out, revoked or not yet valid."""

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.edge_state import open_edge_state
from consent_core.formats.revocation import open_answer
from control_plane.api.edge_state import EdgeStates
from control_plane.app import create_app
from control_plane.settings import Settings
from tests.keys_in_time import OVERLAP_S, SITUATIONS, START, Rotated, refusals


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """By name: what the log's key signed at START, and how it is opened; with the key that did."""
    data = tmp_path_factory.mktemp("plane")
    clock = ManualClock(START - 3_600)
    plane = create_app(Settings(data=data, clock=clock))
    clock.advance(3_600)
    key = plane.keys.rotate("log", OVERLAP_S)
    with plane.log.writing() as writing:
        for _ in range(2):
            writing.append("model", "m")
    answer = plane.log.reply(0, "nonce").body
    state = EdgeStates(plane.log, plane.policies, plane.keys, clock).current().body
    plane.keys.rotate("log", OVERLAP_S)
    rotated = Rotated(key, plane.keys.trust_file())
    plane.close()
    return rotated, {
        "answer": lambda *by: open_answer(answer, by[0], "nonce", *by[1:]),
        "edge state": lambda *by: open_edge_state(state, *by),
    }


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("what", ["answer", "edge state"])
def test_a_log_key_outside_its_time_opens_nothing(signed, what, situation):
    """The same bytes are good while the key is in force, and refused with the reason outside of it."""
    rotated, openers = signed
    code, trust, now, revoked = refusals(rotated)[situation]

    openers[what](*rotated.good)
    with pytest.raises(Untrusted) as refusal:
        openers[what](trust, now, revoked)
    assert refusal.value.code == code
