"""One process's metrics as plain numbers, so that several processes can be shown as one.

    numbers = read_numbers(write_numbers(metrics.numbers()))     # from one process to another, as JSON
    total = before + numbers.lasting()                            # what a process had counted when it ended

Counter and distributions add up. Of a process that has ended only what counts up stays: a counter never falls.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from consent_core.telemetry.names import BY_NAME, Kind

Labels = tuple[str, ...]
Sorted = tuple[tuple[int, ...], float]  # how many observations in each bucket, and their sum


@dataclass(frozen=True, slots=True)
class Numbers:
    """By metric and label values: counters, histograms. `values`: the label-free ones that are read at a scrape.

    `labelled`: gauges of the process that is scraped, by label values; they are not passed between processes.
    """

    counts: Mapping[str, Mapping[Labels, int]] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[Labels, Sorted]] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    labelled: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def __add__(self, other: "Numbers") -> "Numbers":
        """Both together."""
        counts = {name: _added(self.counts.get(name, {}), other.counts.get(name, {})) for name in
                  {**self.counts, **other.counts}}  # fmt: skip
        histograms = {name: _joined(self.histograms.get(name, {}), other.histograms.get(name, {})) for name in
                   {**self.histograms, **other.histograms}}  # fmt: skip
        values = {
            name: self.values.get(name, 0) + other.values.get(name, 0) for name in {**self.values, **other.values}
        }
        return Numbers(counts, histograms, values)

    def lasting(self) -> "Numbers":
        """Without what is only true of a living process."""
        values = {name: value for name, value in self.values.items() if BY_NAME[name].kind is Kind.COUNTER}
        return Numbers(self.counts, self.histograms, values)


def write_numbers(numbers: Numbers) -> str:
    """One line of JSON."""
    counts = {name: [[*labels, n] for labels, n in series.items()] for name, series in numbers.counts.items()}
    histograms = {
        name: [[*labels, *sorted_] for labels, sorted_ in series.items()] for name, series in numbers.histograms.items()
    }
    return json.dumps(
        {"counts": counts, "histograms": histograms, "values": dict(numbers.values)}, separators=(",", ":")
    )


def read_numbers(text: str) -> Numbers:
    """What `write_numbers` wrote: between processes of one program, nothing is checked."""
    value = json.loads(text)
    counts = {name: {tuple(labels): n for *labels, n in rows} for name, rows in value["counts"].items()}
    histograms = {
        name: {tuple(labels): (tuple(buckets), total) for *labels, buckets, total in rows}
        for name, rows in value["histograms"].items()
    }
    return Numbers(counts, histograms, value["values"])


def _added(one: Mapping[Labels, int], other: Mapping[Labels, int]) -> dict[Labels, int]:
    return dict(Counter(one) + Counter(other))


def _joined(one: Mapping[Labels, Sorted], other: Mapping[Labels, Sorted]) -> dict[Labels, Sorted]:
    joined = dict(one)
    for labels, (buckets, total) in other.items():
        had = joined.get(labels)
        joined[labels] = (
            (buckets, total)
            if had is None
            else (tuple(a + b for a, b in zip(had[0], buckets, strict=True)), had[1] + total)
        )
    return joined
