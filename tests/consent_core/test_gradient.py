"""What a day teaches: the gradient of logistic regression, for one visitor, bounded whatever comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.decision.gradient import MOST_SHOWINGS, Showing, expected, gradient, require_sane

FEATURES = st.dictionaries(st.integers(0, 31), st.floats(-4, 4), min_size=1, max_size=6)
SHOWINGS = st.lists(st.builds(Showing, FEATURES, st.integers(0, 1)), max_size=MOST_SHOWINGS)
WEIGHTS = st.lists(st.floats(-2, 2), min_size=32, max_size=32)


def loss(weights, showings):
    """Logarithm of the likelihood, which the gradient climbs."""
    return sum(math.log(p if s.reward else 1 - p) for s in showings for p in (expected(weights, s.features),))


@given(WEIGHTS, SHOWINGS, st.integers(0, 31))
def test_it_is_the_slope_of_the_log_likelihood(weights, showings, bucket):
    """Compared with a difference quotient."""
    step = 1e-5
    up, down = ([w + sign * step * (i == bucket) for i, w in enumerate(weights)] for sign in (1, -1))
    slope = (loss(up, showings) - loss(down, showings)) / (2 * step)

    assert gradient(weights, showings).get(bucket, 0.0) == pytest.approx(slope, abs=1e-4)


@given(st.lists(st.floats(-1e300, 1e300), min_size=32, max_size=32), SHOWINGS)
def test_no_weights_make_it_overflow(weights, showings):
    """An expectation stays between 0 and 1."""
    require_sane(gradient(weights, showings), 32)


def test_showings_beyond_the_eighth_teach_nothing():
    """One visitor who floods is counted before anything else."""
    click = Showing({3: 1.0}, 1)

    assert gradient([0.0] * 8, [click] * 8) == gradient([0.0] * 8, [click] * 800)


def test_clicked_features_rise_and_ignored_ones_sink():
    """The sign of learning."""
    weights = [0.0] * 8

    assert gradient(weights, [Showing({3: 1.0}, 1)])[3] > 0 > gradient(weights, [Showing({3: 1.0}, 0)])[3]
    assert gradient(weights, []) == {}


@pytest.mark.parametrize(
    "result",
    [{-1: 0.5}, {32: 0.5}, {5: float("nan")}, {5: float("inf")}, {5: 0.1, 4: 0.1}, dict.fromkeys(range(40), 0.0)],
)
def test_an_answer_that_is_rubbish_is_refused(result):
    """What a guest may not hand to its host."""
    with pytest.raises(ValueError, match="bucket"):
        require_sane(result, 32)
