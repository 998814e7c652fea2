"""What a control plane tells a scraper, on this machine only: refusals by code, and how its ledger stands.

    /           the dashboard          /metrics    Prometheus page
    /readyz     503 while this one alone is broken (`leave`), else 200

How long requests take is here, because this listener is for this machine alone. Counts of changes are not: a listener
that more people read must not tell what padding hides.
"""

from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent_core.health.gauges import watch_room
from consent_core.health.watching import Health
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.numbers import Labels
from consent_core.telemetry.prometheus import PAGE_TYPE, page
from consent_core.trust.svid_source import SvidSource
from control_plane.app import ControlPlane
from control_plane.dashboard.routes import dashboard_routes
from control_plane.dashboard.scraping import Pages
from control_plane.ledger.archive import archived_size

FAMILIES = ("rejected", "untrusted", "unavailable")


def metrics_of(plane: ControlPlane, health: Health, source: SvidSource | None = None) -> Metrics:
    """Every number is read when somebody looks. `source`: None without mutual TLS."""
    metrics = Metrics("control-plane", "control-plane")
    for family in FAMILIES:
        metrics.add_source(f"consent_edge_{family}", partial(_failures, plane, family))
    turnaround = metrics.histogram("consent_edge_dsar_turnaround_seconds")
    plane.requests.machine.on_closed.append(lambda kind, seconds: turnaround.observe(seconds, kind))
    progress, clock = plane.ledger.sequencer.progress, plane.settings.clock

    def since(at: int | None) -> float:
        return 0.0 if at is None else float(clock.now() - at)

    metrics.watch("consent_edge_ledger_size", lambda: float(progress.size))
    metrics.watch("consent_edge_ledger_published_size", lambda: float(progress.published))
    metrics.watch("consent_edge_ledger_unwitnessed_seconds", lambda: since(progress.unwitnessed_since))
    metrics.watch("consent_edge_ledger_inclusion_seconds", lambda: float(progress.inclusion_s or 0))
    metrics.watch("consent_edge_ledger_findings", lambda: float(len(plane.ledger.store.findings.all())))
    watch_room(metrics, plane.settings.home, source, clock)
    metrics.watch_each("consent_edge_health", lambda: health.look().gauges())
    metrics.watch_each("consent_edge_privacy_budget_spent_ratio", lambda: _spent(plane))
    metrics.watch("consent_edge_archive_lag_leaves", lambda: float(_lag(plane)))
    return metrics


def admin_application(plane: ControlPlane, health: Health, pages: Pages, source: SvidSource | None = None) -> Starlette:
    """The admin listener's routes. `pages`: what the POPs count."""
    metrics = metrics_of(plane, health, source)

    async def numbers(_: Request) -> Response:
        return Response(await run_in_threadpool(page, metrics), media_type=PAGE_TYPE)

    async def ready(_: Request) -> Response:
        seen = await run_in_threadpool(health.look)
        return JSONResponse({"leave": seen.leave, "stay": seen.stay}, 503 if seen.leave else 200)

    return Starlette(routes=[Route("/metrics", numbers), Route("/readyz", ready), *dashboard_routes(plane, pages)])


def _failures(plane: ControlPlane, family: str) -> dict[Labels, int]:
    return {(code,): count for (kind, code), count in list(plane.failures.items()) if kind == family}


def _spent(plane: ControlPlane) -> dict[Labels, float]:
    return {(place,): part for place, part in plane.federated.spent(plane.settings.clock.now()).items()}


def _lag(plane: ControlPlane) -> int:
    """Published leaves that the archive has not; 0 where there is no archive."""
    archive = plane.ledger.archive
    return 0 if archive is None else plane.ledger.sequencer.progress.published - archived_size(archive)
