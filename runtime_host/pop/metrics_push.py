"""Pushes a POP's metrics to an OpenTelemetry collector, again and again; a collector that is away is counted."""

import asyncio
from collections.abc import Awaitable, Callable

from consent_core.errors import ConsentEdgeError
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.otlp import Push
from runtime_host.pop.sync.periodic import PeriodicTask

RETRY_S = 5.0


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
