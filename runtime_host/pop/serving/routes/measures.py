"""`POST /v1/events` and `POST /v1/vitals`: what pages report.

A report of `/v1/vitals` is about no visitor: no cookie of it is read. An interaction is kept only while its category is
effective for the request that reports it, and the store refuses it in its own transaction if a purge or a withdrawal
came first. A page that has not been looked at yet counts for nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.decision.request import is_speculative
from consent_core.decision.signals import arm_of
from consent_core.errors import Rejected
from consent_core.http.answers import Answer, empty_answer, json_answer
from consent_core.http.asgi import read_json
from consent_core.http.clients import Clients
from consent_core.telemetry.metrics import Metrics
from runtime_host.pop.serving.pipeline import Pipeline, Place, Visit
from runtime_host.pop.serving.rates import Rate, Rates
from runtime_host.pop.serving.routes.reports import Allowed, Showing, Vital, models_by_category, read_reports
from runtime_host.pop.serving.routes.request_bodies import Event, read_events
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Interaction, PopStore

Places = Callable[[], Mapping[str, Place]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request and one client may report."""

    max_body: int
    clients: Clients
    rates: Rates


class Measures:
    """Events and vitals of one POP. `places`: the slots they may name now."""

    def __init__(self, pipeline: Pipeline, store: PopStore, places: Places, metrics: Metrics, limits: Limits) -> None:
        self._pipeline = pipeline
        self._store = store
        self._places = places
        self._metrics = metrics
        self._events = metrics.counter("consent_edge_events")
        self._showings = metrics.counter("consent_edge_showings")
        self._limits = limits

    async def events(self, call: Call) -> Answer:
        """Keep what may be kept; `kept` says how many rows. Raises: Rejected("bad-request" | "client-rate")."""
        events = read_events(await self._body(call))
        if is_speculative(call.headers):
            return json_answer({"kept": 0}, status=202)
        visit = Visit(call.headers, None, None, call.context)
        await self._pipeline.grant(visit)
        kept = sum([await self._keep(visit, event) for event in events])
        if visit.known is not None and kept:
            self._pipeline.recent.forget(visit.known.subject)
        return json_answer({"kept": kept}, status=202)

    async def vitals(self, call: Call) -> Answer:
        """Sort reports into the page's distributions. Raises: Rejected("bad-request" | "client-rate")."""
        models = models_by_category(self._pipeline.decider.personalizers)
        allowed = Allowed(frozenset(self._places()), frozenset(models.values()))
        reports = read_reports(await self._body(call), allowed)
        if not is_speculative(call.headers):
            for report in reports:
                self._count(report)
        return empty_answer(204)

    async def _body(self, call: Call) -> Any:
        self._limits.rates.check(self._limits.clients.of(call.scope), Rate.REPORT)
        return await read_json(call.receive, self._limits.max_body)

    def _count(self, report: Vital | Showing) -> None:
        labels = (report.slot, report.state, report.model)
        if isinstance(report, Showing):
            self._showings.add(report.kind, *labels)
        else:
            self._metrics.histogram(report.metric).observe(report.value, *labels)

    async def _keep(self, visit: Visit, event: Event) -> int:
        rows = self._rows(visit, event)
        kept = sum([await self._record(row) for row in rows])
        self._events.add(event.kind, "yes" if kept else "no")
        return kept

    def _rows(self, visit: Visit, event: Event) -> list[Interaction]:
        """What this event is worth under each effective category that keeps anything."""
        known, allowed = visit.known, visit.grant.categories
        if known is None:
            return []
        ver, rows = known.claims.ver, []
        if "behavioral" in allowed:
            rows.append(Interaction(known.subject, ver, "behavioral", event.kind, event.item, event.tags))
        place = self._places().get(event.slot or "")
        if "experimental" in allowed and place is not None and place.slot.experiment is not None:
            arm = arm_of(place.slot.experiment, known.claims.sub)
            tags = (f"arm:{arm.arm}",)
            rows.append(Interaction(known.subject, ver, "experimental", event.kind, arm.experiment, tags))
        return rows

    async def _record(self, row: Interaction) -> int:
        try:
            await self._store.database.writer.run(lambda: self._store.history.record(row), durable=False)
        except Rejected:  # taken back meanwhile: the store's word counts
            return 0
        return 1
