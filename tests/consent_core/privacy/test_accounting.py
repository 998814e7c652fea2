"""The accountant agrees with Google's, and with the numbers that the clause promises."""

import math

import dp_accounting as oracle
import pytest
from dp_accounting import rdp
from hypothesis import given
from hypothesis import strategies as st

from consent_core.privacy.accounting import (
    epsilon,
    guess,
    promised_rho,
    rho,
    smallest_sigma2,
    units_of_days,
)

SIGMA2 = 76_125_335
ORDERS = [1 + 10 ** (k / 60 - 3) for k in range(400)]


@pytest.mark.parametrize("weeks", [1, 5, 53])
@pytest.mark.parametrize("delta", [1e-5, 1e-7])
@pytest.mark.parametrize("noise", [0.4, 1.0, 2.13, 6.0, 40.0])
def test_epsilon_is_within_one_per_cent_of_dp_accounting(noise, weeks, delta):
    """Thirty mechanisms: noise from far too little to very much, over one to 53 weeks."""
    accountant = rdp.RdpAccountant(ORDERS)
    accountant.compose(oracle.SelfComposedDpEvent(oracle.GaussianDpEvent(noise), weeks))

    assert epsilon(weeks / (2 * noise**2), delta) == pytest.approx(accountant.get_epsilon(delta), rel=0.01)


@given(st.floats(1e-4, 20), st.floats(1e-9, 1e-3))
def test_epsilon_is_never_below_the_exact_gaussian_one(spent, delta):
    """At the epsilon claimed, the exact delta of a Gaussian of that rho is no more than what was claimed."""
    claimed, mu = epsilon(spent, delta), math.sqrt(2 * spent)
    exact = _phi(mu / 2 - claimed / mu) - math.exp(claimed) * _phi(-mu / 2 - claimed / mu)

    assert exact <= delta * (1 + 1e-6)


def _phi(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def test_the_noise_of_the_promise_is_the_smallest():
    """One less would break (5, 1e-5); the other two are what smaller deltas need."""
    assert smallest_sigma2(5, 1e-5, 5) == SIGMA2
    assert epsilon(rho(5, SIGMA2), 1e-5) <= 5 < epsilon(rho(5, SIGMA2 - 1), 1e-5)
    assert [smallest_sigma2(5, delta, 5) for delta in (1e-6, 1e-7)] == [90_577_006, 105_149_776]
    assert rho(5, SIGMA2) <= promised_rho(5, 1e-5) < rho(5, SIGMA2 - 1)


@given(st.floats(0.1, 20), st.sampled_from([1e-5, 1e-6, 1e-8]), st.integers(1, 53))
def test_the_noise_of_any_promise_keeps_it(promise, delta, units):
    """Whatever is promised, the noise computed for it is enough."""
    assert epsilon(rho(units, smallest_sigma2(promise, delta, units)), delta) <= promise


@pytest.mark.parametrize(
    ("units", "epsilons", "guessed"),
    [
        (1, (2.02, 2.26, 2.47), 0.593),
        (4, (4.40, 4.86, 5.29), 0.681),
        (5, (5.00, 5.52, 5.99), 0.700),
        (12, (8.35, 9.14, 9.86), 0.792),
        (53, (21.1, 22.7, 24.2), 0.956),
        (59, (22.6, 24.3, 25.9), 0.964),
    ],
)
def test_the_table_that_people_read_is_computed(units, epsilons, guessed):
    """The figures of the clause and of docs/privacy.md."""
    spent = rho(units, SIGMA2)

    assert [epsilon(spent, delta) for delta in (1e-5, 1e-6, 1e-7)] == pytest.approx(epsilons, rel=0.003)
    assert guess(spent) == pytest.approx(guessed, abs=0.0006)


def test_days_that_cut_weeks_cost_more_than_whole_weeks():
    """A week of which a part is replaced counts four times; the worst place of the row decides."""
    assert [units_of_days(days) for days in (1, 2, 7, 28, 30, 35, 365)] == [4, 8, 8, 11, 12, 12, 59]


def test_nothing_spent_promises_everything():
    """No contribution, no epsilon."""
    assert epsilon(0, 1e-5) == 0
    assert guess(0) == 0.5
