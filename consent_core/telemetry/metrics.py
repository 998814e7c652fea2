"""One process's metrics: an OpenTelemetry meter, its Prometheus page, and the tallies that hot paths raise.

Counters and gauges are observable instruments over plain numbers, so recording costs next to nothing and reading
happens at scrape time. Distributions of the hot path are a collector of their own on the same page, because
OpenTelemetry has no observable histogram; further readers (OTLP) see counters and gauges.
Where several processes are one to whoever scrapes, one of them `include`s the numbers of the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from consent_core.telemetry.counters import Counts, Histogram, cumulative
from consent_core.telemetry.names import BY_NAME, Kind
from consent_core.telemetry.names import Metric as Named
from consent_core.telemetry.numbers import Labels, Numbers, Sorted

PAGE_TYPE = CONTENT_TYPE_LATEST

# Returns the present value; called at scrape time, on the scraping thread.
Gauge = Callable[[], float]
# Returns counts by label values that somebody else keeps; called at scrape time.
Source = Callable[[], Mapping[tuple[str, ...], int]]
# What the values of several processes come down to: their sum, or the least of them.
Whole = Callable[[Iterable[float]], float]


class Metrics:
    """Every metric of one process. `instance` (a POP's id, `control-plane`) is a label on each."""

    def __init__(self, service: str, instance: str, readers: Sequence[MetricReader] = ()) -> None:
        self._instance = instance
        self._registry = CollectorRegistry()
        self._page = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=self._registry)
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._provider = MeterProvider(metric_readers=[self._page, *readers], resource=resource, shutdown_on_exit=False)
        self._meter = self._provider.get_meter("consent_edge")
        self._tallies: dict[str, Counts] = {}
        self._spreads: dict[str, Histogram] = {}
        self._sources: dict[str, list[Source]] = {}
        self._watched: dict[str, Gauge] = {}
        self._others: Callable[[], Iterable[Numbers]] = tuple
        self._registry.register(_Distributions(self._all_spreads, instance))

    def tally(self, name: str) -> Counts:
        """The counter `name`: count with `tally(name).add(*label values)`."""
        if name not in self._tallies:
            metric = _known(name, Kind.COUNTER)
            tally = self._tallies[name] = Counts(metric.labels)
            self._meter.create_observable_counter(
                name, callbacks=[self._counts(name, tally)], unit=metric.unit, description=metric.description
            )
        return self._tallies[name]

    def spread(self, name: str) -> Histogram:
        """The distribution `name`: `spread(name).observe(value, *label values)`."""
        if name not in self._spreads:
            metric = _known(name, Kind.HISTOGRAM)
            self._spreads[name] = Histogram(metric.labels, metric.bounds)
        return self._spreads[name]

    def add_source(self, name: str, source: Source) -> None:
        """Add counts kept elsewhere to the counter `name`."""
        self.tally(name)
        self._sources.setdefault(name, []).append(source)

    def watch(self, name: str, read: Gauge, whole: Whole = sum) -> None:
        """Show `read()` as the label-free counter or gauge `name` at every scrape.

        `whole`: what it and those of included processes come down to.
        """
        self._watched[name] = read
        metric = BY_NAME[name]
        create = (
            self._meter.create_observable_gauge
            if _known(name, Kind.GAUGE, Kind.COUNTER).kind is Kind.GAUGE
            else self._meter.create_observable_counter
        )
        create(name, callbacks=[self._value(name, read, whole)], unit=metric.unit, description=metric.description)

    def include(self, others: Callable[[], Iterable[Numbers]]) -> None:
        """Show what `others()` gives at every scrape as if this process had counted it too."""
        self._others = others

    def numbers(self) -> Numbers:
        """What this process has counted, for another one's page. Included ones are not in it."""
        spreads = {name: _sorted(spread) for name, spread in self._spreads.items()}
        counts = {name: dict(self._counted(name, tally)) for name, tally in self._tallies.items()}
        return Numbers(counts, spreads, {name: read() for name, read in self._watched.items()})

    def page(self) -> bytes:
        """The Prometheus text page; its content type is `PAGE_TYPE`."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Stop the readers. The page is empty afterwards."""
        self._provider.shutdown()

    def _counts(self, name: str, tally: Counts) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            counts = self._counted(name, tally)
            for other in self._others():
                counts.update(other.counts.get(name, {}))
            for values, count in counts.items():
                yield Observation(count, {**dict(zip(tally.labels, values, strict=True)), "pop": self._instance})

        return read

    def _counted(self, name: str, tally: Counts) -> Counter[tuple[str, ...]]:
        counts = Counter(tally.counts)
        for source in self._sources.get(name, ()):
            counts.update(source())
        return counts

    def _value(self, name: str, gauge: Gauge, whole: Whole) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            others = [other.values[name] for other in self._others() if name in other.values]
            yield Observation(whole([gauge(), *others]), {"pop": self._instance})

        return read

    def _all_spreads(self) -> Mapping[str, Mapping[Labels, Sorted]]:
        total = Numbers(spreads={name: _sorted(spread) for name, spread in list(self._spreads.items())})
        for other in self._others():
            total += Numbers(spreads=other.spreads)
        return total.spreads


class _Distributions(Collector):
    """Turns every distribution into a Prometheus histogram family when the page is read."""

    def __init__(self, spreads: Callable[[], Mapping[str, Mapping[Labels, Sorted]]], instance: str) -> None:
        self._spreads = spreads
        self._instance = instance

    def collect(self) -> Iterable[Metric]:
        for name, series in self._spreads().items():
            metric = BY_NAME[name]
            family = HistogramMetricFamily(name, metric.description, labels=[*metric.labels, "pop"])
            for values, (counts, total) in series.items():
                family.add_metric([*values, self._instance], list(cumulative(metric.bounds, counts)), total)
            yield family


def _sorted(spread: Histogram) -> dict[Labels, Sorted]:
    return {labels: (tuple(one.counts), one.total) for labels, one in list(spread.series.items())}


def _known(name: str, *kinds: Kind) -> Named:
    metric = BY_NAME[name]
    if metric.kind not in kinds:
        raise ValueError(f"{name} is a {metric.kind.value}")
    return metric
