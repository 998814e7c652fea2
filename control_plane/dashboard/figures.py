"""What Prometheus pages add up to, since each process began: quantiles of distributions, ratios of counts.

    p95 = quantile(distribution(samples, "consent_edge_lcp_seconds", state="default"), 0.95)

Source: Prometheus' `histogram_quantile`, which interpolates within a bucket in the same way.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from control_plane.dashboard.scraping import Sample

FEWEST = 20  # observations below which a P95 says nothing: one page alone would decide it

Buckets = Mapping[float, float]  # upper bound -> observations at or below it


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantile of `count` observations; `value` is None while there are too few."""

    count: int
    value: float | None


def distribution(samples: Iterable[Sample], metric: str, **labels: str) -> Buckets:
    """The buckets of a metric, over all series with these labels."""
    found: Counter[float] = Counter()
    for sample in samples:
        if sample.name == f"{metric}_bucket" and labels.items() <= sample.labels.items():
            found[float(sample.labels["le"])] += sample.value  # type: ignore[assignment]
    return found


def quantile(buckets: Buckets, part: float) -> Figure:
    """Where `part` of the observations are at or below, within the bucket that holds it."""
    bounds = sorted(buckets)
    count = buckets[bounds[-1]] if bounds else 0
    if count < FEWEST:
        return Figure(int(count), None)
    rank, low, below = part * count, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            break
        low, below = bound, buckets[bound]
    if math.isinf(bound):
        return Figure(int(count), low)
    return Figure(int(count), low + (bound - low) * (rank - below) / (buckets[bound] - below))


def groups(samples: Iterable[Sample], metric: str, *labels: str) -> list[tuple[str, ...]]:
    """The values that these labels have together, in their order."""
    return sorted({tuple(s.labels.get(label, "") for label in labels) for s in samples if s.name == f"{metric}_count"})


def total(samples: Iterable[Sample], name: str, **labels: str) -> float:
    """The sum of all series of a counter or gauge with these labels."""
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def hit_ratio(samples: tuple[Sample, ...], cache: str) -> Figure:
    """The share of look-ups that a cache answered."""
    hits = total(samples, f"consent_edge_{cache}_hits_total")
    asked = hits + total(samples, f"consent_edge_{cache}_misses_total")
    return Figure(int(asked), hits / asked if asked else None)


def reasons(samples: Iterable[Sample]) -> list[str]:
    """What is wrong with a process, by its own word."""
    return sorted({s.labels["reason"] for s in samples if s.name == "consent_edge_health" and s.value == 1})
