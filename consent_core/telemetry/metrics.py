"""One process's metrics: counters and histograms that hot paths raise, gauges that are read when somebody looks.

    metrics = Metrics("pop", "tokyo-1")
    metrics.counter("consent_edge_rejected").add("token-expired")
    metrics.histogram("consent_edge_lcp_seconds").observe(0.18, "home-hero", "default")
    metrics.watch("consent_edge_in_sync", lambda: 1.0, whole=min)

The numbers are the one truth; `prometheus` writes them as text, `otlp` as OpenTelemetry's data, histograms included.
Where several processes are one to a scraper, one of them `include`s the numbers of the others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from consent_core.telemetry.counters import Counter, Histogram
from consent_core.telemetry.names import BY_NAME, Kind, Metric
from consent_core.telemetry.numbers import Labels, Numbers, Sorted

# Returns the present value; called when somebody looks.
Gauge = Callable[[], float]
# Returns counts by label values that somebody else keeps; called when somebody looks.
Source = Callable[[], Mapping[Labels, int]]
# Returns present values by label values; called when somebody looks.
Gauges = Callable[[], Mapping[Labels, float]]
# Makes one value of those of several processes: their sum, or the least of them.
Whole = Callable[[Iterable[float]], float]


class Metrics:
    """Every metric of one process. `service` and `instance` (a POP's id, `control-plane`) name it to collectors."""

    def __init__(self, service: str, instance: str) -> None:
        self.service, self.instance = service, instance
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._sources: dict[str, list[Source]] = {}
        self._watched: dict[str, tuple[Gauge, Whole]] = {}
        self._labelled: dict[str, Gauges] = {}
        self._others: Callable[[], Iterable[Numbers]] = tuple

    def counter(self, name: str) -> Counter:
        """The counter `name`: count with `counter(name).add(*label values)`."""
        if name not in self._counters:
            self._counters[name] = Counter(_known(name, Kind.COUNTER).labels)
        return self._counters[name]

    def histogram(self, name: str) -> Histogram:
        """The distribution `name`: `histogram(name).observe(value, *label values)`."""
        if name not in self._histograms:
            metric = _known(name, Kind.HISTOGRAM)
            self._histograms[name] = Histogram(metric.labels, metric.bounds)
        return self._histograms[name]

    def add_source(self, name: str, source: Source) -> None:
        """Add counts kept elsewhere to the counter `name`."""
        self.counter(name)
        self._sources.setdefault(name, []).append(source)

    def watch(self, name: str, read: Gauge, whole: Whole = sum) -> None:
        """Show `read()` as the label-free counter or gauge `name`; `whole` joins it with those of others."""
        _known(name, Kind.GAUGE, Kind.COUNTER)
        self._watched[name] = (read, whole)

    def watch_each(self, name: str, read: Gauges) -> None:
        """Show what `read()` gives as the gauge `name`, a series for each of its keys. Of this process alone."""
        _known(name, Kind.GAUGE)
        self._labelled[name] = read

    def include(self, others: Callable[[], Iterable[Numbers]]) -> None:
        """Show what `others()` gives as if this process had counted it too."""
        self._others = others

    def numbers(self) -> Numbers:
        """What this process has counted, for another one's page. Included ones are not in it."""
        return Numbers(
            {name: self._counted(name, counter) for name, counter in list(self._counters.items())},
            {name: _sorted(histogram) for name, histogram in list(self._histograms.items())},
            {name: read() for name, (read, _) in self._watched.items()},
        )

    def labelled(self) -> dict[str, Mapping[Labels, float]]:
        """The gauges that have labels."""
        return {name: read() for name, read in self._labelled.items()}

    def whole(self) -> Numbers:
        """What this process and the included ones have counted: what exporters write."""
        own, others = self.numbers(), tuple(self._others())
        total = sum(others, own)
        values = {
            name: whole([own.values[name], *(other.values[name] for other in others if name in other.values)])
            for name, (_, whole) in self._watched.items()
        }
        return replace(total, values={**total.values, **values}, labelled=self.labelled())

    def _counted(self, name: str, counter: Counter) -> dict[Labels, int]:
        counts = dict(counter.counts)
        for source in self._sources.get(name, ()):
            for labels, count in source().items():
                counts[labels] = counts.get(labels, 0) + count
        return counts


def _sorted(histogram: Histogram) -> dict[Labels, Sorted]:
    return {labels: (tuple(one.counts), one.total) for labels, one in list(histogram.series.items())}


def _known(name: str, *kinds: Kind) -> Metric:
    metric = BY_NAME[name]
    if metric.kind not in kinds:
        raise ValueError(f"{name} is a {metric.kind.value}")
    return metric
