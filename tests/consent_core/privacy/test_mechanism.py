"""Nobody states a noise that does not keep its promise, and replay is training that never saw the place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.privacy.learning import Measurement, learned, without
from consent_core.privacy.mechanism import Mechanism, read_mechanism
from consent_core.privacy.statement import promises, warnings

FIVE = Mechanism.promising(5, "5", "1e-5", "0.4")
PLAN = {"tokyo-1": 1000, "paris-1": 300, "lima-1": 90}
WEEKS = ("2026-W52", "2026-W53", "2027-W01")


def test_the_policy_of_the_design_is_read():
    """Its sigma2 is what its promise needs."""
    assert read_mechanism(FIVE.to_json()) == FIVE
    assert FIVE.sigma2 == 76_125_335
    assert f"{FIVE.rho.numerator}/{FIVE.rho.denominator}" == "8388608/76125335"


@pytest.mark.parametrize("sigma2", ["76125334", "76125336", "1", "9999999999"])
def test_another_noise_is_refused(sigma2):
    """Less breaks the promise; more would be a promise that is not the one stated."""
    with pytest.raises(Rejected) as refusal:
        read_mechanism({**FIVE.to_json(), "sigma2": sigma2})
    assert refusal.value.code == "mechanism-noise"


@pytest.mark.parametrize(
    "changes",
    [
        {"weeks": 0},
        {"weeks": 54},
        {"weeks": "5"},
        {"epsilon": 5},
        {"epsilon": "inf"},
        {"epsilon": "0"},
        {"epsilon": "21"},
        {"delta": "0"},
        {"delta": "0.5"},
        {"delta": "nan"},
        {"sigma2": 76125335},
        {"sigma2": "-1"},
        {"clip": "0"},
        {"grid": 8192},
        {"sampling": "0.1"},
    ],
)
def test_parameters_of_another_form_are_refused(changes):
    """Each by one code."""
    with pytest.raises(Rejected) as refusal:
        read_mechanism({**FIVE.to_json(), **changes})
    assert refusal.value.code == "mechanism-malformed"


def measurements():
    draws = np.random.default_rng(5)
    return [Measurement(pop, week, draws.integers(-9000, 9000, 64)) for week in WEEKS for pop in PLAN]


@given(st.permutations(measurements()))
def test_a_model_is_the_same_bits_in_any_order(rows):
    """The control plane may read updates as they come."""
    base = np.linspace(-1, 1, 64)

    assert learned(base, rows, PLAN, FIVE, 250).tobytes() == learned(base, measurements(), PLAN, FIVE, 250).tobytes()


@pytest.mark.parametrize("pop", sorted(PLAN))
def test_replay_without_a_place_is_training_that_never_saw_it(pop):
    """Bit for bit; its weeks that are not named stay."""
    base, never = np.zeros(64), [row for row in measurements() if row.pop != pop]

    replayed = learned(base, without(measurements(), pop, WEEKS), PLAN, FIVE, 250)
    assert replayed.tobytes() == learned(base, never, PLAN, FIVE, 250).tobytes()
    assert len(without(measurements(), pop, WEEKS[:1])) == len(measurements()) - 1


def test_releases_alone_tell_less_than_updates():
    """Twenty places' noises are in every release."""
    of_updates, of_releases = promises(FIVE), promises(FIVE, pops=20)

    assert [round(row.epsilons[0], 2) for row in of_releases[:3:2]] == [0.40, 0.95]
    assert all(few.guess < many.guess for few, many in zip(of_releases, of_updates, strict=True))
    assert of_updates[2].to_json() == {
        "span": "5 calendar weeks (the unit)",
        "units": 5,
        "rho": 0.550973,
        "guess": 0.7002,
        "epsilon": {"1e-05": 5.0, "1e-06": 5.517, "1e-07": 5.988},
    }


def test_a_delta_that_is_large_for_so_many_people_is_said_aloud():
    """With the noise that would do."""
    assert "is 1.9; 5e-07 would need sigma2" in warnings(FIVE, 190_000)[0]
    assert warnings(FIVE, 10_000) == ()
