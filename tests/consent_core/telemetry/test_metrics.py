"""The metrics page shows what hot paths counted, under listed names and labels only."""

import pytest

from consent_core.telemetry.counters import MAX_SERIES, OTHER, Counter
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.names import METRICS
from consent_core.telemetry.numbers import read_numbers, write_numbers
from consent_core.telemetry.prometheus import page


def test_a_counter_shows_its_labels_and_the_pop():
    """Each series carries its own labels and the POP that counted it."""
    metrics = Metrics("pop", "tokyo-1")
    metrics.counter("consent_edge_rejected").add("token-expired")
    metrics.counter("consent_edge_rejected").add("token-expired")

    assert 'consent_edge_rejected_total{code="token-expired",pop="tokyo-1"} 2.0' in page(metrics).decode()


def test_a_distribution_shows_buckets_sum_and_count():
    """An observation is in every bucket whose bound it does not exceed."""
    metrics = Metrics("pop", "tokyo-1")
    metrics.histogram("consent_edge_lcp_seconds").observe(0.18, "home-hero", "default", "none")
    text = page(metrics).decode()

    assert 'le="0.1",model="none",pop="tokyo-1",slot="home-hero",state="default"} 0.0' in text
    assert 'le="0.18",model="none",pop="tokyo-1",slot="home-hero",state="default"} 1.0' in text
    assert 'consent_edge_lcp_seconds_count{model="none",pop="tokyo-1",slot="home-hero",state="default"} 1.0' in text


def test_a_gauge_is_read_at_scrape_time():
    """The page asks for the value; nobody has to push it."""
    metrics, entries = Metrics("pop", "tokyo-1"), [1]
    metrics.watch("consent_edge_token_cache_entries", lambda: entries[0])
    entries[0] = 7

    assert 'consent_edge_token_cache_entries{pop="tokyo-1"} 7.0' in page(metrics).decode()


def test_a_name_that_is_not_listed_cannot_be_recorded():
    """The closed list is what keeps visitors out of metrics."""
    metrics = Metrics("pop", "tokyo-1")

    with pytest.raises(KeyError):
        metrics.counter("consent_edge_visitors")
    with pytest.raises(ValueError, match="histogram"):
        metrics.counter("consent_edge_lcp_seconds")


def test_no_metric_may_carry_a_visitor():
    """Labels come from a short list of words, none of which names a person."""
    allowed = {"slot", "state", "code", "route", "status", "kind", "kept", "component", "model", "reason", "place"}

    assert {label for metric in METRICS for label in metric.labels} <= allowed


def test_label_values_from_input_cannot_grow_a_counter_without_bound():
    """Past the cap everything new is counted together."""
    counter = Counter(("code",))
    for number in range(MAX_SERIES + 50):
        counter.add(str(number))

    assert len(counter.counts) == MAX_SERIES + 1
    assert counter.counts[(OTHER,)] == 50


def counting(pop: str = "tokyo-1", in_sync: float = 1.0) -> Metrics:
    """A process that refused a token, saw one paint and holds three tokens."""
    metrics = Metrics("pop", pop)
    metrics.counter("consent_edge_rejected").add("token-expired")
    metrics.histogram("consent_edge_lcp_seconds").observe(0.18, "home-hero", "default", "none")
    metrics.watch("consent_edge_token_cache_entries", lambda: 3)
    metrics.watch("consent_edge_token_cache_hits", lambda: 5)
    metrics.watch("consent_edge_in_sync", lambda: in_sync, whole=min)
    return metrics


def test_included_processes_are_shown_as_one():
    """Counter, distributions and sizes add up; in sync is who is so with all others. Their numbers travel as text."""
    metrics, others = counting(), [counting(in_sync=0.0), counting()]
    metrics.counter("consent_edge_rejected").add("bad-query")
    metrics.include(lambda: [read_numbers(write_numbers(other.numbers())) for other in others])
    text = page(metrics).decode()

    for line in (
        'consent_edge_rejected_total{code="token-expired",pop="tokyo-1"} 3.0',
        'consent_edge_rejected_total{code="bad-query",pop="tokyo-1"} 1.0',
        'consent_edge_lcp_seconds_bucket{le="0.1",model="none",pop="tokyo-1",slot="home-hero",state="default"} 0.0',
        'consent_edge_lcp_seconds_bucket{le="0.18",model="none",pop="tokyo-1",slot="home-hero",state="default"} 3.0',
        'consent_edge_token_cache_entries{pop="tokyo-1"} 9.0',
        'consent_edge_token_cache_hits_total{pop="tokyo-1"} 15.0',
        'consent_edge_in_sync{pop="tokyo-1"} 0.0',
    ):
        assert line in text


def test_a_distribution_only_an_included_process_has_is_shown():
    """Vitals reach whichever process the page's connection is at."""
    metrics = Metrics("pop", "tokyo-1")
    metrics.include(lambda: [counting().numbers()])

    assert (
        'consent_edge_lcp_seconds_count{model="none",pop="tokyo-1",slot="home-hero",state="default"} 1.0'
        in page(metrics).decode()
    )


def test_of_an_ended_process_only_what_counts_up_lasts():
    """Counters never fall; what it held is gone with it."""
    total = counting().numbers().lasting() + counting().numbers()

    assert total.counts["consent_edge_rejected"] == {("token-expired",): 2}
    assert total.histograms["consent_edge_lcp_seconds"][("home-hero", "default", "none")][1] == pytest.approx(0.36)
    assert total.values["consent_edge_token_cache_hits"] == 10
    assert total.values["consent_edge_token_cache_entries"] == 3
