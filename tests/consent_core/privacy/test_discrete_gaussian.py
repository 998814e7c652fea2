"""The noise has exactly the distribution that the accountant assumes, and comes from the bytes that it is given."""

import ast
import os
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from consent_core.privacy import discrete_gaussian
from consent_core.privacy.discrete_gaussian import exp_bounds, noise
from tests.conftest import ROOT

SIGMA2 = 76_125_335
ONE_IN_A_BILLION = 1e-9  # a right sampler fails so seldom


def exact(sigma2, reach):
    """Probabilities of -reach to reach."""
    with mpmath.workdps(30):
        weights = [mpmath.exp(-mpmath.mpf(n * n) / (2 * sigma2)) for n in range(-reach, reach + 1)]
        return np.array([float(weight / mpmath.fsum(weights)) for weight in weights])


def chi_square(draws, sigma2):
    """How likely so large a distance from the exact probabilities is; rare values at both ends are one class each."""
    reach = int(5 * sigma2**0.5) + 2
    expected = exact(sigma2, reach) * len(draws)
    counted = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=2 * reach + 1).astype(float)
    usual = expected > 8
    classes = (np.append(counted[usual], counted[~usual].sum()), np.append(expected[usual], expected[~usual].sum()))
    return stats.chisquare(*classes).pvalue


@pytest.mark.parametrize("sigma2", [1, 4, 9, 100, 10_007])
def test_draws_have_the_exact_probabilities(sigma2):
    """200,000 draws against the probabilities themselves."""
    assert chi_square(noise(200_000, sigma2, os.urandom), sigma2) > ONE_IN_A_BILLION


def test_draws_decided_by_whole_numbers_alone_have_the_exact_probabilities():
    """With a margin of 1 no float decides: the path that 2^-42 of all comparisons take."""
    assert chi_square(noise(300, 4, os.urandom, margin=1.0), 4) > ONE_IN_A_BILLION


def test_noise_in_use_has_its_variance():
    """A million draws of the sigma2 in use: mean and variance within six standard errors."""
    z = noise(1_000_000, SIGMA2, os.urandom)

    assert abs(z.var() / SIGMA2 - 1) < 6 * (2 / len(z)) ** 0.5
    assert abs(z.mean()) < 6 * (SIGMA2 / len(z)) ** 0.5


@given(st.fractions(0, 300, max_denominator=10**9), st.sampled_from([64, 320, 576]))
def test_whole_numbers_close_in_on_the_exponential(x, bits):
    """The two bounds hold it, and are at most a few units apart."""
    low, high = exp_bounds(x, bits)
    with mpmath.workdps(250):
        value = mpmath.exp(-mpmath.mpf(x.numerator) / x.denominator) * mpmath.mpf(2) ** bits

        assert low <= value <= high
    assert high - low <= 2


@pytest.mark.parametrize("sigma2", [0, -1, 2**50 + 1])
def test_a_parameter_out_of_range_is_refused(sigma2):
    """No noise at all, or more than whole numbers of 64 bits hold."""
    with pytest.raises(ValueError, match="sigma2"):
        noise(1, sigma2, os.urandom)


def test_a_machine_whose_exp_is_wrong_draws_nothing(monkeypatch):
    """The self-test compares the machine's exp with whole numbers before the first draw."""
    right = np.exp
    monkeypatch.setattr(discrete_gaussian.np, "exp", lambda x: right(x) * (1 + 2.0**-40))
    discrete_gaussian.require_exact_exp.cache_clear()

    with pytest.raises(RuntimeError, match="wrong on this machine"):
        noise(1, 4, os.urandom)
    discrete_gaussian.require_exact_exp.cache_clear()


def test_equal_bytes_give_equal_noise():
    """The only randomness is the argument."""

    def source():
        words = np.random.default_rng(1)
        return lambda count: words.bytes(count)

    assert (noise(500, SIGMA2, source()) == noise(500, SIGMA2, source())).all()


def test_no_other_randomness_is_in_the_room():
    """Nothing in consent_core/privacy names random, secrets, os or numpy.random."""
    named = set()
    for path in (ROOT / "consent_core" / "privacy").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                named |= {alias.name for alias in node.names} | {getattr(node, "module", "")}
            if isinstance(node, ast.Attribute):
                named.add(node.attr)

    assert named & {"random", "secrets", "os", "urandom", "default_rng", "time"} == set()


def test_a_uniform_is_compared_with_the_fraction_itself():
    """Just below and just above exp(-1), 64 + 256 bits deep, the answer is right."""
    low, high = exp_bounds(Fraction(1), 320)
    for deep, answer in ((low - 1, True), (high, False)):
        words = [(deep >> 256).to_bytes(8, "little"), (deep & (1 << 256) - 1).to_bytes(32, "big")]
        coins = discrete_gaussian._Coins(lambda _, words=words: words.pop(0), margin=1.0)

        assert bool(coins.exp_minus(np.ones(1), lambda _: Fraction(1))[0]) is answer
