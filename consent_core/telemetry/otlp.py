"""Metrics as OpenTelemetry's data, histograms included, pushed over OTLP/HTTP.

    push = Push(metrics, "http://127.0.0.1:4318/v1/metrics")
    push.once()                      # blocking: call it from a thread

Everything is cumulative since the process began, as Prometheus has it, so that a lost push loses nothing.
Source: opentelemetry.io, "OTLP Specification" 1.x and "Metrics Data Model".
"""

import time
from collections.abc import Iterable, Iterator

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from consent_core.errors import Unavailable
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.names import BY_NAME, Kind
from consent_core.telemetry.names import Metric as Named
from consent_core.telemetry.numbers import Labels, Sorted

_SCOPE = InstrumentationScope("consent_edge")
_CUMULATIVE = AggregationTemporality.CUMULATIVE
TIMEOUT_S = 5.0


def metrics_data(metrics: Metrics, began_ns: int, now_ns: int) -> MetricsData:
    """Everything counted so far. Times: Unix nanoseconds."""
    numbers, points = metrics.whole(), _Points(metrics.instance, began_ns, now_ns)
    written = [
        *(points.counter(BY_NAME[name], series.items()) for name, series in numbers.counts.items()),
        *(points.value(BY_NAME[name], value) for name, value in numbers.values.items()),
        *(points.gauge(BY_NAME[name], series.items()) for name, series in numbers.labelled.items()),
        *(points.histogram(BY_NAME[name], series.items()) for name, series in numbers.histograms.items()),
    ]
    resource = Resource.create({"service.name": metrics.service, "service.instance.id": metrics.instance})
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(_SCOPE, written, "")], "")])


class Push:
    """Pushes one process's metrics to a collector. `endpoint`: the whole URL, such as http://127.0.0.1:4318/v1/metrics."""

    def __init__(self, metrics: Metrics, endpoint: str) -> None:
        self._metrics = metrics
        self._began_ns = time.time_ns()
        self._exporter = OTLPMetricExporter(endpoint=endpoint, timeout=TIMEOUT_S)

    def once(self) -> None:
        """Push what is counted now. Raises: Unavailable("otlp-unreachable")."""
        data = metrics_data(self._metrics, self._began_ns, time.time_ns())
        if self._exporter.export(data, timeout_millis=TIMEOUT_S * 1000) is not MetricExportResult.SUCCESS:
            raise Unavailable("otlp-unreachable", "the collector did not take the metrics")

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()


class _Points:
    """Makes data points that share an instance and a span of time."""

    def __init__(self, instance: str, began_ns: int, now_ns: int) -> None:
        self._instance, self._began_ns, self._now_ns = instance, began_ns, now_ns

    def counter(self, metric: Named, series: Iterable[tuple[Labels, int]]) -> Metric:
        """A sum that only rises."""
        points = [self._number(metric, labels, count) for labels, count in series]
        return Metric(metric.name, metric.description, metric.unit, Sum(points, _CUMULATIVE, is_monotonic=True))

    def value(self, metric: Named, value: float) -> Metric:
        """A label-free counter or gauge."""
        points = [self._number(metric, (), value)]
        data = Sum(points, _CUMULATIVE, is_monotonic=True) if metric.kind is Kind.COUNTER else Gauge(points)
        return Metric(metric.name, metric.description, metric.unit, data)

    def gauge(self, metric: Named, series: Iterable[tuple[Labels, float]]) -> Metric:
        """A gauge with labels."""
        points = [self._number(metric, labels, value) for labels, value in series]
        return Metric(metric.name, metric.description, metric.unit, Gauge(points))

    def histogram(self, metric: Named, series: Iterable[tuple[Labels, Sorted]]) -> Metric:
        """A distribution over the metric's own bounds."""
        points = list(self._distributions(metric, series))
        return Metric(metric.name, metric.description, metric.unit, Histogram(points, _CUMULATIVE))

    def _distributions(self, metric: Named, series: Iterable[tuple[Labels, Sorted]]) -> Iterator[HistogramDataPoint]:
        for labels, (counts, total) in series:
            yield HistogramDataPoint(
                attributes=self._attributes(metric, labels),
                start_time_unix_nano=self._began_ns,
                time_unix_nano=self._now_ns,
                count=sum(counts),
                sum=total,
                bucket_counts=counts,
                explicit_bounds=metric.bounds,
                min=None,  # type: ignore[arg-type]  # not kept; the wire format makes both optional
                max=None,  # type: ignore[arg-type]
            )

    def _number(self, metric: Named, labels: Labels, value: float) -> NumberDataPoint:
        return NumberDataPoint(self._attributes(metric, labels), self._began_ns, self._now_ns, value)

    def _attributes(self, metric: Named, labels: Labels) -> dict[str, str]:
        return {**dict(zip(metric.labels, labels, strict=True)), "pop": self._instance}
