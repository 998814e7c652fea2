"""People who change their mind on simulated time: the last word holds, and every broken rule turns a counter red."""

import pytest

from simulator.minds.faults import FAULTS
from simulator.minds.report import SELF_TEST, self_test, to_json
from simulator.minds.truth import PROMISES
from simulator.minds.world import Minds, play

pytestmark = pytest.mark.slow


def test_the_last_word_holds_through_cuts_lost_answers_and_restores():
    """Through the real consent routes of POPs and the real control plane; each situation did occur."""
    minds = Minds(pops=4, browsers=40, changes=120, requests=600, restores=2, burst=40, seed=3)
    document = to_json(minds, play(minds))

    assert {name: document[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0), document["examples"]
    assert document["situations"]["restores"] == 2
    assert all(document["situations"][name] > 0 for name in ("moved_after_no", "late_no_after_yes", "answers_lost"))
    assert document["requests"] == 600


def test_every_broken_rule_turns_its_own_counter_red():
    """A simulation that stays green under a fault is worth nothing."""
    tried = self_test(SELF_TEST)

    assert [one.name for one in tried if not one.caught] == []
    assert len(tried) == len(FAULTS) + 1
