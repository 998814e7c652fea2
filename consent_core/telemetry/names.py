"""Every metric of consent-edge: name, unit, meaning, labels and, for distributions, bucket bounds.

A metric that is not listed here cannot be recorded, and a label that is not listed cannot be attached. Names follow
OpenTelemetry's `consent_edge_<what>_<unit>`; the Prometheus page adds `_total`, `_bucket`, `_sum`, `_count`.
"""

from dataclasses import dataclass
from enum import Enum

# Bounds in seconds. The decision bounds straddle the budgets: 10 and 50 µs memoised, 2 and 5 ms in a fresh sandbox.
DECISION_BOUNDS = (0.000_01, 0.000_02, 0.000_05, 0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
VITAL_BOUNDS = (0.008, 0.016, 0.05, 0.1, 0.18, 0.2, 0.35, 0.5, 0.8, 1.2, 1.8, 2.3, 2.5, 4.0, 8.0)
SYNC_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
TURNAROUND_BOUNDS = (1.0, 10.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0)
SHIFT_BOUNDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)  # layout shift score has no unit


class Kind(Enum):
    """How a metric moves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `labels` is the closed set it may carry; `bounds` (its unit) only for distributions."""

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_PAGE = ("slot", "state", "model")  # `model`: of a release that decides here, `none` or `other`

METRICS = (
    Metric("consent_edge_requests", Kind.COUNTER, "", "answers by route and status class", ("route", "status")),
    Metric("consent_edge_decisions", Kind.COUNTER, "", "decisions by slot and consent state", ("slot", "state")),
    Metric("consent_edge_defaults", Kind.COUNTER, "", "default answers by the reason for them", ("code",)),
    Metric("consent_edge_rejected", Kind.COUNTER, "", "refused input by code", ("code",)),
    Metric("consent_edge_untrusted", Kind.COUNTER, "", "signed artefacts that did not verify, by code", ("code",)),
    Metric("consent_edge_unavailable", Kind.COUNTER, "", "failed dependencies by code", ("code",)),
    Metric(
        "consent_edge_events", Kind.COUNTER, "", "interactions by kind and whether they were kept", ("kind", "kept")
    ),
    Metric("consent_edge_showings", Kind.COUNTER, "", "slots that came into view or were clicked", ("kind", *_PAGE)),
    Metric("consent_edge_token_cache_hits", Kind.COUNTER, "", "tokens answered from the token cache"),
    Metric("consent_edge_token_cache_misses", Kind.COUNTER, "", "tokens that went to the validation component"),
    Metric("consent_edge_token_cache_entries", Kind.GAUGE, "", "tokens held in the token cache"),
    Metric("consent_edge_decision_memo_hits", Kind.COUNTER, "", "decisions answered from memory"),
    Metric("consent_edge_decision_memo_misses", Kind.COUNTER, "", "decisions that went to the component"),
    Metric("consent_edge_decision_memo_entries", Kind.GAUGE, "", "decisions held in memory"),
    Metric("consent_edge_asset_cache_hits", Kind.COUNTER, "", "renditions answered from memory"),
    Metric("consent_edge_asset_cache_misses", Kind.COUNTER, "", "renditions that had to be made"),
    Metric("consent_edge_asset_cache_entries", Kind.GAUGE, "", "renditions held in memory"),
    Metric("consent_edge_asset_cache_bytes", Kind.GAUGE, "", "bytes of renditions held in memory"),
    Metric("consent_edge_memory_pss_bytes", Kind.GAUGE, "", "memory of all processes, each page counted once"),
    Metric(
        "consent_edge_catalogue_faults", Kind.GAUGE, "", "broken pictures, and the catalogue itself if it is broken"
    ),
    Metric("consent_edge_renderers", Kind.GAUGE, "", "render processes that run"),
    Metric("consent_edge_renderers_lost", Kind.COUNTER, "", "render processes that crashed, hung or grew too large"),
    Metric("consent_edge_renderers_dead", Kind.GAUGE, "", "1 while no render process can be started"),
    Metric("consent_edge_streams", Kind.GAUGE, "", "open consent streams"),
    Metric("consent_edge_workers", Kind.GAUGE, "", "processes of the POP that take requests"),
    Metric("consent_edge_worker_restarts", Kind.COUNTER, "", "processes of the POP that ended and were started again"),
    Metric("consent_edge_outbox_oldest_seconds", Kind.GAUGE, "s", "how long the oldest withdrawal has waited"),
    Metric("consent_edge_in_sync", Kind.GAUGE, "", "1 while in sync with the control plane"),
    Metric("consent_edge_disk_free_bytes", Kind.GAUGE, "", "room that is left where this process keeps its files"),
    Metric("consent_edge_certificate_left_seconds", Kind.GAUGE, "s", "until this process's own certificate runs out"),
    Metric("consent_edge_health", Kind.GAUGE, "", "1 while a reason to look here holds", ("reason", "kind")),
    Metric(
        "consent_edge_decision_seconds",
        Kind.HISTOGRAM,
        "s",
        "from the credentials to a decision",
        ("slot", "state"),
        DECISION_BOUNDS,
    ),
    Metric("consent_edge_sandbox_seconds", Kind.HISTOGRAM, "s", "one component call", ("component",), DECISION_BOUNDS),
    Metric(
        "consent_edge_consent_sync_delay_seconds",
        Kind.HISTOGRAM,
        "s",
        "from a change at the control plane to its enforcement here",
        ("kind",),
        SYNC_BOUNDS,
    ),
    Metric("consent_edge_lcp_seconds", Kind.HISTOGRAM, "s", "largest contentful paint", _PAGE, VITAL_BOUNDS),
    Metric("consent_edge_inp_seconds", Kind.HISTOGRAM, "s", "interaction to next paint", _PAGE, VITAL_BOUNDS),
    Metric("consent_edge_fcp_seconds", Kind.HISTOGRAM, "s", "first contentful paint", _PAGE, VITAL_BOUNDS),
    Metric("consent_edge_ttfb_seconds", Kind.HISTOGRAM, "s", "time to first byte", _PAGE, VITAL_BOUNDS),
    Metric("consent_edge_cls_ratio", Kind.HISTOGRAM, "", "cumulative layout shift", _PAGE, SHIFT_BOUNDS),
    Metric(
        "consent_edge_swap_to_paint_seconds",
        Kind.HISTOGRAM,
        "s",
        "from a consent toggle to the painted swap",
        _PAGE,
        VITAL_BOUNDS,
    ),
    Metric(
        "consent_edge_dsar_turnaround_seconds",
        Kind.HISTOGRAM,
        "s",
        "from a privacy request to its completion",
        ("kind",),
        TURNAROUND_BOUNDS,
    ),
    Metric("consent_edge_ledger_size", Kind.GAUGE, "", "leaves that have a place in the ledger"),
    Metric("consent_edge_ledger_published_size", Kind.GAUGE, "", "leaves under the published checkpoint"),
    Metric("consent_edge_ledger_unwitnessed_seconds", Kind.GAUGE, "s", "how long too few witnesses have cosigned"),
    Metric(
        "consent_edge_ledger_inclusion_seconds", Kind.GAUGE, "s", "how long the last beat's oldest leaf waited for it"
    ),
    Metric("consent_edge_ledger_findings", Kind.GAUGE, "", "what an operator must look at"),
    Metric("consent_edge_archive_lag_leaves", Kind.GAUGE, "", "published leaves that the archive has not"),
    Metric("consent_edge_privacy_budget_spent_ratio", Kind.GAUGE, "", "spent share of the privacy budget", ("place",)),
)

BY_NAME = {metric.name: metric for metric in METRICS}
