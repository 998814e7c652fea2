"""The gate's statistics. Pure: numbers in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Bound:
    """A one-sided upper bound on a quantile. `value` is None while there are too few samples to state one."""

    value: float | None
    n: int
    exceedances_allowed: int


def quantile_upper_bound(values: Sequence[float], quantile: float = 0.95, confidence: float = CONFIDENCE) -> Bound:
    """Distribution-free bound by order statistics: the smallest sample that is above the quantile with `confidence`.

    With k+1 samples at or above it, the k-th exceedance fails only if at most k of n fell above the quantile:
    P(Binomial(n, 1-quantile) <= k) <= 1-confidence. For P95 that takes n >= 59 with k = 0 and n >= 93 with k = 1.
    Source: David and Nagaraja, Order Statistics, section 7.1.
    """
    n = len(values)
    allowed = -1
    while stats.binom.cdf(allowed + 1, n, 1 - quantile) <= 1 - confidence:
        allowed += 1
    if allowed < 0:
        return Bound(None, n, 0)
    return Bound(float(sorted(values, reverse=True)[allowed]), n, allowed)


def samples_needed(exceedances: int = 0, quantile: float = 0.95, confidence: float = CONFIDENCE) -> int:
    """The smallest n whose bound tolerates this many exceedances."""
    n = exceedances + 1
    while stats.binom.cdf(exceedances, n, 1 - quantile) > 1 - confidence:
        n += 1
    return n


def false_pass_rate(looks: Sequence[int], quantile: float = 0.95, confidence: float = CONFIDENCE) -> float:
    """How often a page passes at one of these looks although a share 1-quantile of its loads is above the budget.

    Args:    looks: rising numbers of loads; each look passes with at most the exceedances that its bound forgives.
    Returns: the exact probability, by summing over the paths that no earlier look passed.
    """
    above, still, at, passed = 1 - quantile, {0: 1.0}, 0, 0.0
    for n in looks:
        forgiven = quantile_upper_bound([0.0] * n, quantile, confidence).exceedances_allowed
        after: dict[int, float] = {}
        for count, weight in still.items():
            for more in range(n - at + 1):
                seen = count + more
                after[seen] = after.get(seen, 0.0) + weight * float(stats.binom.pmf(more, n - at, above))
        passed += sum(weight for count, weight in after.items() if count <= forgiven)
        still, at = {count: weight for count, weight in after.items() if count > forgiven}, n
    return passed


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one arm lies from another, with a two-sided interval. Same unit as the samples."""

    estimate: float
    low: float
    high: float


def paired_shift(ours: Sequence[float], theirs: Sequence[float], confidence: float = CONFIDENCE) -> Shift:
    """Hodges-Lehmann estimate of the paired difference ours - theirs, with the signed-rank interval.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, sections 3.2 and 3.3.
    """
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    n = len(differences)
    rows, columns = np.triu_indices(n)
    walsh = np.sort((differences[rows] + differences[columns]) / 2)
    mean, deviation = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    rank = int(np.floor(mean - stats.norm.ppf((1 + confidence) / 2) * deviation))
    rank = max(rank, 1)
    return Shift(float(np.median(walsh)), float(walsh[rank - 1]), float(walsh[-rank]))


@dataclass(frozen=True, slots=True)
class Regression:
    """Whether `head` is slower than `base`. `delta` is Cliff's: -1 (always faster) to 1 (always slower)."""

    p_value: float
    shift: float
    delta: float


def regression(head: Sequence[float], base: Sequence[float]) -> Regression:
    """Mann-Whitney U, one-sided (head greater), with the Hodges-Lehmann shift and Cliff's delta."""
    result = stats.mannwhitneyu(head, base, alternative="greater")
    pairs = np.subtract.outer(np.asarray(head, dtype=float), np.asarray(base, dtype=float))
    delta = 2 * float(result.statistic) / (len(head) * len(base)) - 1
    return Regression(float(result.pvalue), float(np.median(pairs)), delta)


def summary(values: Sequence[float]) -> dict[str, float]:
    """n, p50, p95, p99, max of what was seen. For reading, not for judging."""
    ordered = sorted(values)
    at = {f"p{q}": float(np.quantile(ordered, q / 100)) for q in (50, 95, 99)}
    return {"n": float(len(ordered)), **at, "max": float(ordered[-1])}


def slope(values: Sequence[float], at: Sequence[float]) -> float:
    """Theil-Sen slope: the median of all pairwise slopes. Unit: value per unit of `at`."""
    if any(b <= a for a, b in pairwise(at)):
        raise ValueError("`at` must increase")
    return float(stats.theilslopes(values, at).slope) if len(values) > 2 else float(median(values))
