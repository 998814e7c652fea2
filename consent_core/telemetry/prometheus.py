"""Metrics as Prometheus' text, for a scraper.

    body, kind = page(metrics), PAGE_TYPE

Source: prometheus.io, "Exposition formats", text format 0.0.4, as `prometheus_client` writes it.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from consent_core.telemetry.counters import cumulative
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.names import BY_NAME, Kind
from consent_core.telemetry.numbers import Numbers

PAGE_TYPE = CONTENT_TYPE_LATEST


def page(metrics: Metrics) -> bytes:
    """The text of everything counted so far; `pop` is a label on each series."""
    registry = CollectorRegistry()
    registry.register(_Numbers(metrics.whole(), metrics.instance))
    return generate_latest(registry)


class _Numbers(Collector):
    """Numbers as Prometheus families. `instance`: the label `pop`."""

    def __init__(self, numbers: Numbers, instance: str) -> None:
        self._numbers, self._instance = numbers, instance

    def collect(self) -> Iterable[Family]:
        """One family a metric, in the order of their names."""
        yield from sorted(
            (*self._counters(), *self._values(), *self._labelled(), *self._histograms()), key=lambda family: family.name
        )

    def _counters(self) -> Iterator[Family]:
        for name, series in self._numbers.counts.items():
            metric = BY_NAME[name]
            family = CounterMetricFamily(name, metric.description, labels=[*metric.labels, "pop"])
            for labels, count in series.items():
                family.add_metric([*labels, self._instance], count)
            yield family

    def _values(self) -> Iterator[Family]:
        for name, value in self._numbers.values.items():
            metric = BY_NAME[name]
            make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            family = make(name, metric.description, labels=["pop"])
            family.add_metric([self._instance], value)
            yield family

    def _labelled(self) -> Iterator[Family]:
        for name, series in self._numbers.labelled.items():
            metric = BY_NAME[name]
            family = GaugeMetricFamily(name, metric.description, labels=[*metric.labels, "pop"])
            for labels, value in series.items():
                family.add_metric([*labels, self._instance], value)
            yield family

    def _histograms(self) -> Iterator[Family]:
        for name, series in self._numbers.histograms.items():
            metric = BY_NAME[name]
            family = HistogramMetricFamily(name, metric.description, labels=[*metric.labels, "pop"])
            for labels, (counts, total) in series.items():
                family.add_metric([*labels, self._instance], list(cumulative(metric.bounds, counts)), total)
            yield family
