"""No visitor moves the sum by more than the promise counts, whatever the gradient holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consent_core.privacy.clipping import FIGURES, clipped
from consent_core.privacy.grid import GRID, SENSITIVITY2, to_grid, total

CLIP = 0.4
VECTORS = arrays.arrays(np.float64, 64 + FIGURES, elements=st.floats(-1e300, 1e300))


@given(VECTORS)
def test_a_contribution_is_at_most_4096_steps_long(vector):
    """In exact whole numbers, also for vectors that overflow a squared float."""
    q = to_grid(clipped(vector, CLIP), CLIP)

    assert q is not None
    assert int(q @ q) <= SENSITIVITY2


@given(VECTORS, VECTORS)
def test_a_changed_week_moves_the_sum_by_at_most_two_lengths(one, other):
    """Replaced rather than removed: four units."""
    p, q = (to_grid(clipped(vector, CLIP), CLIP) for vector in (one, other))

    assert int((p - q) @ (p - q)) <= 4 * SENSITIVITY2


@given(VECTORS)
def test_each_part_keeps_to_its_share(vector):
    """Loud figures take nothing from the model's part, and the reverse."""
    short = clipped(vector, CLIP)

    assert np.linalg.norm(short[:-FIGURES]) <= 0.9**0.5 * CLIP * (1 + 1e-12)
    assert np.linalg.norm(short[-FIGURES:]) <= 0.1**0.5 * CLIP * (1 + 1e-12)


def test_a_short_vector_stays_as_it_is():
    """Clipping shortens and never stretches."""
    vector = np.full(64 + FIGURES, 1e-4)

    assert (clipped(vector, CLIP) == vector).all()
    assert (clipped(np.zeros(64), CLIP) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, CLIP * 1.001])
def test_what_is_too_long_or_no_number_is_dropped(bad):
    """A vector that was not clipped costs itself, never the round."""
    vector = np.zeros(8)
    vector[3] = bad

    assert to_grid(vector, CLIP) is None


def test_many_entries_that_are_short_one_by_one_are_dropped_together():
    """The length counts, not the largest entry."""
    assert to_grid(np.full(5, CLIP / 2), CLIP) is None
    assert to_grid(np.full(4, CLIP / 2), CLIP) is not None


@given(st.permutations(list(range(20))), st.integers(1, 19))
def test_the_sum_is_the_same_in_any_order_and_any_chunks(order, cut):
    """Whole numbers have no order of addition."""
    rows = np.random.default_rng(3).integers(-GRID, GRID, (20, 40))
    chunks = [total([rows[i] for i in part], 40) for part in (order[:cut], order[cut:])]

    assert (total(chunks, 40) == total(rows, 40)).all()
