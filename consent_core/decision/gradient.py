"""What one visitor's day teaches a linear model: the gradient of logistic regression, as a sum over showings.

    gradient(weights, [Showing({17: 0.5, 1204: 0.25}, reward=1)]) -> {17: 0.48, 1204: 0.24}

A showing is what was shown, as its hashed features, and whether it was clicked. The result is an ascent: adding it to
the weights makes the clicked more likely. Standard library only, so that it can run inside a guest; it sees no
subject, no clock and no other visitor. Arms of experiments never teach. Source: DESIGN of the loss, `docs/privacy.md`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

INTERCEPT: Final = -3.0  # a click rate of 5 % where the weights say nothing
MOST_SHOWINGS: Final = 8  # of a visitor and day; the first ones, counted before anything else
FAR: Final = 30.0  # beyond it the probability is 0 or 1 to 13 digits


@dataclass(frozen=True, slots=True)
class Showing:
    """One decision that was shown. features: bucket -> strength of the asset in its situation. reward: 0 or 1."""

    features: Mapping[int, float]
    reward: int


def gradient(weights: Sequence[float], showings: Iterable[Showing]) -> dict[int, float]:
    """Sum of (reward - expected) times features, by bucket in rising order."""
    sums: dict[int, float] = {}
    for showing in list(showings)[:MOST_SHOWINGS]:
        surprise = showing.reward - expected(weights, showing.features)
        for bucket, strength in showing.features.items():
            sums[bucket] = sums.get(bucket, 0.0) + surprise * strength
    return dict(sorted(sums.items()))


def expected(weights: Sequence[float], features: Mapping[int, float]) -> float:
    """How likely the model holds a click to be."""
    score = sum(weights[bucket] * strength for bucket, strength in features.items()) + INTERCEPT
    return 1 / (1 + math.exp(-max(-FAR, min(FAR, score))))


def require_sane(result: Mapping[int, float], buckets: int) -> None:
    """What a host checks of a guest's answer. Raises: ValueError for a bucket out of range, NaN, or too many."""
    if len(result) > buckets or any(not 0 <= bucket < buckets for bucket in result):
        raise ValueError("a bucket that the model does not have")
    if list(result) != sorted(result) or not all(map(math.isfinite, result.values())):
        raise ValueError("buckets out of order, or a value that is no number")
