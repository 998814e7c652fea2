"""A POP's metrics: what is read from its parts at each scrape, and the push to an OpenTelemetry collector."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from consent_core.errors import ConsentEdgeError
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.otlp import Push
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.memory import pss_bytes
from runtime_host.pop.serving.pipeline import Pipeline
from runtime_host.pop.serving.routes.stream import Streams
from runtime_host.pop.serving.routing import RequestCounts
from runtime_host.pop.sync.periodic import PeriodicTask
from runtime_host.pop.sync.sync import Sync
from runtime_host.pop.sync.worker import WorkerSync
from runtime_host.pop.workers.supervisor import Supervisor

RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of a POP that keep numbers. `supervisor`: None without further workers."""

    pipeline: Pipeline
    renderer: Renderer
    streams: Streams
    sync: Sync | WorkerSync
    supervisor: Supervisor | None
    catalogue_faults: Callable[[], int] = lambda: 0


def request_counts(metrics: Metrics) -> RequestCounts:
    """What routing counts."""
    return RequestCounts(
        requests=metrics.counter("consent_edge_requests"),
        rejected=metrics.counter("consent_edge_rejected"),
        untrusted=metrics.counter("consent_edge_untrusted"),
        unavailable=metrics.counter("consent_edge_unavailable"),
    )


def watch(metrics: Metrics, parts: Watched) -> None:
    """Show at each scrape what the parts count."""
    _watch_caches(metrics, parts)
    sync, supervisor, pool = parts.sync, parts.supervisor, parts.renderer.pool
    metrics.watch("consent_edge_memory_pss_bytes", lambda: pss_bytes(pool.pids))
    metrics.watch("consent_edge_catalogue_faults", parts.catalogue_faults, whole=max)
    metrics.watch("consent_edge_renderers", lambda: len(pool.pids))
    metrics.watch("consent_edge_renderers_lost", lambda: pool.lost)
    metrics.watch("consent_edge_renderers_dead", lambda: int(pool.dead), whole=max)
    metrics.watch("consent_edge_streams", lambda: len(parts.streams))
    metrics.watch("consent_edge_outbox_oldest_seconds", lambda: _seconds(sync.outgoing.oldest_s), whole=max)
    metrics.watch("consent_edge_in_sync", lambda: float(sync.trust_state.in_sync()), whole=min)
    if supervisor is not None:
        metrics.include(supervisor.numbers)
        metrics.watch("consent_edge_workers", lambda: supervisor.status()["serving"])
        metrics.watch("consent_edge_worker_restarts", lambda: supervisor.restarts)
    metrics.add_source("consent_edge_untrusted", lambda: _by_code(sync.failures.untrusted))
    metrics.add_source("consent_edge_unavailable", lambda: _by_code(sync.failures.unavailable))


def _watch_caches(metrics: Metrics, parts: Watched) -> None:
    tokens, decider, cache = parts.pipeline.tokens, parts.pipeline.decider, parts.renderer.cache
    metrics.watch("consent_edge_token_cache_hits", lambda: tokens.hits)
    metrics.watch("consent_edge_token_cache_misses", lambda: tokens.misses)
    metrics.watch("consent_edge_token_cache_entries", lambda: len(tokens))
    metrics.watch("consent_edge_decision_memo_hits", lambda: decider.hits)
    metrics.watch("consent_edge_decision_memo_misses", lambda: decider.misses)
    metrics.watch("consent_edge_decision_memo_entries", lambda: len(decider))
    metrics.watch("consent_edge_asset_cache_hits", lambda: cache.hits)
    metrics.watch("consent_edge_asset_cache_misses", lambda: cache.misses)
    metrics.watch("consent_edge_asset_cache_entries", lambda: len(cache))
    metrics.watch("consent_edge_asset_cache_bytes", lambda: cache.bytes)


async def push_forever(
    metrics: Metrics,
    endpoint: str,
    every_s: float,
    collect: Callable[[], Awaitable[None]],
    failed: Callable[[ConsentEdgeError], None],
) -> None:
    """Until cancelled. `collect`: awaited before each push, as before a scrape."""
    push = Push(metrics, endpoint)

    async def once() -> None:
        await collect()
        await asyncio.to_thread(push.once)

    try:
        await PeriodicTask(once, every_s, min(RETRY_S, every_s), failed, f"{metrics.instance}/otlp").run()
    finally:
        push.close()


def _seconds(read: Callable[[], int]) -> float:
    """Not a number while the store does not answer."""
    try:
        return float(read())
    except ConsentEdgeError:
        return math.nan


def _by_code(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(code,): count for code, count in counts.items()}
