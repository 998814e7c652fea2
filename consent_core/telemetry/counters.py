"""Plain numbers for hot paths: raising one costs a dictionary look-up, and nothing is locked or allocated.

A `Counter` counts by a tuple of label values; a `Histogram` sorts seconds into fixed buckets. Both belong to one event
loop thread; the metrics page reads them and may see a count that is one behind, never a torn one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MAX_SERIES = 2000  # combinations of label values; a later one is counted under `OTHER`
OTHER = "other"


@dataclass(slots=True)
class Counter:
    """Counts by label values. At most `MAX_SERIES` combinations, so that input can never grow it."""

    labels: tuple[str, ...]
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, *values: str) -> None:
        """Count one. `values` are given in the order of `labels`."""
        count = self.counts.get(values)
        if count is None and len(self.counts) >= MAX_SERIES:
            values = (OTHER,) * len(self.labels)
            count = self.counts.get(values)
        self.counts[values] = (count or 0) + 1

    def total(self) -> int:
        """The sum over all label values."""
        return sum(self.counts.values())


class Bucketed:
    """One distribution: how many observations fell into each bucket, and their sum (the metric's unit)."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Sort one observation into its bucket (upper bounds are inclusive)."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Histogram:
    """Distributions by label values, with the same bound on their number as `Counter`."""

    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    series: dict[tuple[str, ...], Bucketed] = field(default_factory=dict)

    def observe(self, value: float, *values: str) -> None:
        """Sort one observation (the metric's unit) into the distribution of these label values."""
        bucketed = self.series.get(values)
        if bucketed is None:
            if len(self.series) >= MAX_SERIES:
                values = (OTHER,) * len(self.labels)
            bucketed = self.series.setdefault(values, Bucketed(self.bounds))
        bucketed.observe(value)


def cumulative(bounds: Iterable[float], counts: Iterable[int]) -> Iterator[tuple[str, float]]:
    """Prometheus' form: the count at or below each bound, ending with `+Inf`."""
    reached = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        reached += count
        yield bound, reached
