"""Weeks open under the policy in force and close once; their sum is the same whoever adds it up."""

import json

import numpy as np
import pytest

from consent_core.errors import Rejected
from consent_core.policy.learning import read_learning
from consent_core.privacy.mechanism import Mechanism
from consent_core.trust.spiffe import SpiffeId
from control_plane.federated.aggregation import aggregated, measurements
from control_plane.federated.rounds import TRANSITIONS, all_rounds, find
from tests.control_plane.conftest import Caller
from tests.control_plane.federated.place import Place, begin_week, end_week

PLACES = ("tokyo-1", "frankfurt-1", "san-jose-1", "singapore-1")
SETTINGS = {
    "mechanism": Mechanism.promising(5, "5", "1e-5", "0.4").to_json(),
    "step": 250,
    "plan": {"tokyo-1": 1000},
    "pseudonyms": 9500,
    "models": ["contextual"],
}


def state(plane, week):
    with plane.database.read() as connection:
        return find(connection, week).state


def send_all(plane, week, names):
    for seed, name in enumerate(names):
        place = Place(plane, name)
        place.send(place.body(week, seed))


def test_a_round_keeps_the_policy_of_its_beginning(plane):
    """It is opened once, with the seed models as base and the terms of the policy then."""
    week = begin_week(plane)
    plane.sweep()

    with plane.database.read() as connection:
        (found,) = all_rounds(connection)
    assert (found.week, found.state, dict(found.base)) == (week, "open", {"contextual": "seed", "behavioral": "seed"})
    assert found.terms.mechanism.sigma2 == 76_125_335


def test_a_round_closes_when_every_place_has_sent(plane):
    """Before six o'clock."""
    week = begin_week(plane)
    end_week(plane)
    send_all(plane, week, PLACES)
    plane.sweep()

    assert state(plane, week) == "candidate"


@pytest.mark.parametrize(("names", "then"), [(PLACES[:3], "candidate"), (PLACES[:2], "empty"), ((), "empty")])
def test_a_round_closes_on_monday_at_six(plane, names, then):
    """With three places it becomes a candidate; with fewer its measurements wait for the next release."""
    week = begin_week(plane)
    end_week(plane)
    send_all(plane, week, names)
    plane.sweep()
    assert state(plane, week) == "open"
    plane.settings.clock.advance(3 * 3600)
    plane.sweep()

    assert state(plane, week) == then


def test_every_state_has_a_way_to_an_end():
    """The table names no state that it does not know, and one end."""
    assert {state for events in TRANSITIONS.values() for state in events.values()} <= TRANSITIONS.keys()
    assert [state for state, events in TRANSITIONS.items() if not events] == ["released"]


def test_aggregates_are_the_same_bits_in_any_order(plane):
    """As updates came, and backwards."""
    week = begin_week(plane)
    end_week(plane)
    send_all(plane, week, PLACES)
    with plane.database.read() as connection:
        rows, found = measurements(connection, [week]), find(connection, week)
    base = np.zeros(4096)

    weights = aggregated(base, found, rows)
    assert weights.tobytes() == aggregated(base, found, rows[::-1]).tobytes()
    assert weights == pytest.approx(sum(row.y for row in rows)[:4096] * 250 * 0.4 / 4096 / 4000)


def test_a_second_story_is_no_part_of_the_sum(plane):
    """It is evidence, not a measurement."""
    week = begin_week(plane)
    end_week(plane)
    send_all(plane, week, PLACES[:1])
    liar = Place(plane)
    with pytest.raises(Rejected):
        liar.send(liar.body(week, seed=9))
    with plane.database.read() as connection:
        assert len(measurements(connection, [week])) == 1


def pem_scope(app, place):
    """The application as it stands behind mutual TLS: the caller's certificate is in the scope."""

    async def guarded(scope, receive, send):
        scope["extensions"] = {"tls": {"client_cert_chain": [place.svid.chain_pem.decode()]}}
        await app(scope, receive, send)

    return Caller(guarded, place.spiffe_id)


def test_an_update_by_http_is_taken_and_shown(plane):
    """The place gets a verdict and finds its line in the round; an operator sees who is missing."""
    week = begin_week(plane)
    end_week(plane)
    place = Place(plane)
    call = pem_scope(plane.mesh_app, place)

    answer = call("POST", "/federated-updates", content=place.body(week))
    assert answer.json()["verdict"] == "accepted"
    assert call("GET", f"/v1/rounds/{week}").json()["ledger"][0]["week"] == week
    operator = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "operator", "root"))
    assert operator("GET", f"/v1/rounds/{week}").json()["ledger"] == []
    (row, _) = operator("GET", "/v1/rounds").json()["rounds"]
    assert (row["accepted"], row["missing"]) == (["tokyo-1"], ["frankfurt-1", "san-jose-1", "singapore-1"])


def test_refusals_are_counted_by_code(plane):
    """As all others."""
    week = begin_week(plane)
    place = Place(plane)
    answer = pem_scope(plane.mesh_app, place)("POST", "/federated-updates", content=place.body(week))

    assert answer.json()["error"]["code"] == "update-week"
    assert plane.failures[("rejected", "update-week")] == 1


def test_no_certificate_no_update(plane):
    """Without mutual TLS there is nobody to speak for."""
    assert Caller(plane.mesh_app)("POST", "/federated-updates", content=b"").status_code == 401
    assert Caller(plane.mesh_app)("GET", "/v1/rounds/2027-W02").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": {"tokyo-1": 0}},
        {"plan": {"Tokyo 1": 1000}},
        {"plan": {"tokyo-1": "1000"}},
        {"models": []},
        {"models": ["experimental"]},
        {"models": ["contextual", "contextual"]},
        {"step": 0},
        {"step": "250"},
        {"pseudonyms": 0},
        {"sampling": True},
    ],
)
def test_a_policy_of_another_form_is_not_published(changes):
    """Read at publishing by the same reader."""
    with pytest.raises(Rejected) as error:
        read_learning({"learning": {**SETTINGS, **changes}})
    assert error.value.code == "policy-learning"


def test_a_policy_without_learning_opens_no_round():
    """Then every update is of a week that is not known."""
    assert read_learning({"brand": {}}) is None


def test_a_policy_with_too_little_noise_is_not_published():
    """The noise that is stated must keep the promise that is stated."""
    quiet = json.loads(json.dumps(SETTINGS))
    quiet["mechanism"]["sigma2"] = "76125334"
    with pytest.raises(Rejected, match="needs sigma2"):
        read_learning({"learning": quiet})
