"""The gate's statistics against closed forms and brute force."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_gate.stats import false_pass_rate, paired_shift, quantile_upper_bound, regression, samples_needed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("exceedances", "n"), [(0, 59), (1, 93), (2, 124)])
def test_p95_needs_the_textbook_number_of_samples(exceedances, n):
    """59 samples tolerate no exceedance, 93 one, 124 two."""
    assert samples_needed(exceedances) == n


def test_fifty_eight_samples_state_no_bound():
    """Too few samples give no number at all, so that no run passes by measuring less."""
    assert quantile_upper_bound([1.0] * 58).value is None


def test_one_slow_sample_of_59_is_the_bound():
    """With no exceedance allowed the maximum decides."""
    assert quantile_upper_bound([100.0] * 58 + [900.0]).value == 900.0


def test_one_slow_sample_of_93_is_forgiven():
    """With one exceedance allowed the second largest decides."""
    assert quantile_upper_bound([100.0] * 91 + [200.0, 900.0]).value == 200.0


def test_bound_covers_the_true_p95_as_often_as_promised():
    """Over many draws the bound lies above the true P95 at least 95 % of the time (minus sampling error)."""
    rng = np.random.default_rng(7)
    covered = [quantile_upper_bound(list(rng.uniform(0, 1, 93))).value >= 0.95 for _ in range(2000)]

    assert np.mean(covered) > 0.94


@given(st.lists(st.floats(0, 1000), min_size=8, max_size=30), st.floats(-100, 100))
def test_paired_shift_finds_a_constant_difference(values, difference):
    """Shifting every sample by a constant is estimated as that constant."""
    shift = paired_shift([value + difference for value in values], values)

    assert shift.estimate == pytest.approx(difference, abs=1e-6)
    assert shift.low <= shift.estimate <= shift.high


def test_paired_shift_ignores_what_both_arms_share():
    """A drift that hits both arms of a pair alike does not widen the interval."""
    rng = np.random.default_rng(3)
    drift = rng.uniform(0, 1000, 40)
    shift = paired_shift(drift + 20 + rng.normal(0, 2, 40), drift + rng.normal(0, 2, 40))

    assert 18 < shift.low < shift.high < 22


def test_regression_sees_a_shift_and_not_noise():
    """A 50 ms shift is significant at 25 samples; two draws of one distribution are not."""
    rng = np.random.default_rng(5)
    base = rng.normal(500, 20, 25)

    assert regression(base + 50, base).p_value < 0.01
    assert regression(rng.normal(500, 20, 25), base).p_value > 0.01


def test_both_looks_together_pass_a_page_that_is_over_in_less_than_5_percent():
    """The looks of the budgets file: the rate is exact, and simulating the looks meets it."""
    looks = tomllib.loads((ROOT / "benches/budgets.toml").read_text())["vitals"]["looks"]
    rate = false_pass_rate(looks)
    above = np.random.default_rng(7).random((200_000, looks[-1])) < 0.05

    passed = np.zeros(len(above), dtype=bool)
    for n in looks:
        passed |= above[:, :n].sum(axis=1) <= quantile_upper_bound([0.0] * n).exceedances_allowed
    assert rate <= 0.05
    assert passed.mean() == pytest.approx(rate, abs=0.002)


@pytest.mark.parametrize(("looks", "rate"), [((59,), 0.0485), ((59, 93, 124), 0.0926), ((72, 98), 0.0497)])
def test_looking_again_costs_what_it_costs(looks, rate):
    """The former looks at 59, 93 and 124 passed a page that was over in 9.3 % of runs."""
    assert false_pass_rate(looks) == pytest.approx(rate, abs=0.0006)
