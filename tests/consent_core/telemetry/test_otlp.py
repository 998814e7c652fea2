"""What a collector is told over OTLP/HTTP is what the Prometheus page says, histograms included."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from consent_core.errors import Unavailable
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.otlp import Push
from tests.consent_core.telemetry.test_metrics import counting


class Collector:
    """A receiver of OTLP/HTTP that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[ExportMetricsServiceRequest] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.told.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"

    def metrics(self) -> dict:
        """The last push: metric by name."""
        scope = self.told[-1].resource_metrics[0].scope_metrics[0]
        return {metric.name: metric for metric in scope.metrics}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def pushed(metrics: Metrics, collector: Collector) -> dict:
    push = Push(metrics, collector.url)
    push.once()
    push.close()
    return collector.metrics()


def test_a_distribution_arrives_with_its_buckets(collector):
    """The meter that stood here before never saw one."""
    point = pushed(counting(), collector)["consent_edge_lcp_seconds"].histogram.data_points[0]

    assert (point.count, point.sum) == (1, pytest.approx(0.18))
    assert dict(zip(point.explicit_bounds, point.bucket_counts, strict=False))[0.18] == 1
    assert sum(point.bucket_counts) == 1
    assert {item.key: item.value.string_value for item in point.attributes} == {
        "slot": "home-hero", "state": "default", "model": "none", "pop": "tokyo-1",
    }  # fmt: skip


def test_counters_rise_and_gauges_stand(collector):
    """A counter is monotonic and cumulative; a gauge is the value when it was read."""
    metrics = pushed(counting(), collector)

    refused = metrics["consent_edge_rejected"].sum
    assert (refused.is_monotonic, refused.aggregation_temporality) == (True, 2)
    assert refused.data_points[0].as_int == 1
    assert metrics["consent_edge_token_cache_entries"].gauge.data_points[0].as_int == 3
    assert metrics["consent_edge_token_cache_hits"].sum.data_points[0].as_int == 5


def test_included_processes_are_pushed_as_one(collector):
    """A lead pushes for its workers, as it is scraped for them."""
    metrics = counting()
    metrics.include(lambda: [counting(in_sync=0.0).numbers()])
    told = pushed(metrics, collector)

    assert told["consent_edge_lcp_seconds"].histogram.data_points[0].count == 2
    assert told["consent_edge_in_sync"].gauge.data_points[0].as_double == 0.0


def test_the_resource_names_the_process(collector):
    """A collector tells POPs apart by it."""
    pushed(counting("paris-1"), collector)
    resource = collector.told[-1].resource_metrics[0].resource

    named = {item.key: item.value.string_value for item in resource.attributes}
    assert (named["service.name"], named["service.instance.id"]) == ("pop", "paris-1")


def test_a_collector_that_is_away_is_a_code(collector):
    """Nothing is lost: the next push has everything."""
    push = Push(counting(), "http://127.0.0.1:9/v1/metrics")

    with pytest.raises(Unavailable) as refused:
        push.once()
    assert refused.value.code == "otlp-unreachable"
    push.close()
