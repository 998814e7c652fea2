"""`POST /v1/events` and `POST /v1/vitals`: what pages report.

An interaction is kept only while its category is effective for the request that reports it, and the store refuses it
in its own transaction if a purge or a withdrawal came first. A page that nobody has looked at yet counts for nothing.
"""

from collections.abc import Callable, Mapping

from consent_core.decision.request import is_speculative
from consent_core.decision.signals import arm_of
from consent_core.errors import Rejected
from consent_core.http.answers import Answer, empty_answer, json_answer
from consent_core.http.asgi import read_json
from consent_core.telemetry.metrics import Metrics
from runtime_host.pop.serving.pipeline import Pipeline, Place, Visit
from runtime_host.pop.serving.routes.request_bodies import Event, read_events, read_vitals
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Interaction, PopStore

Places = Callable[[], Mapping[str, Place]]


class Measures:
    """Events and vitals of one POP. `places`: the slots they may name now."""

    def __init__(self, pipeline: Pipeline, store: PopStore, places: Places, metrics: Metrics, max_body: int) -> None:
        self._pipeline = pipeline
        self._store = store
        self._places = places
        self._metrics = metrics
        self._events = metrics.counter("consent_edge_events")
        self._max_body = max_body

    async def events(self, call: Call) -> Answer:
        """Keep what may be kept; `kept` says how many rows that were. Raises: Rejected("bad-request")."""
        events = read_events(await read_json(call.receive, self._max_body))
        if is_speculative(call.headers):
            return json_answer({"kept": 0}, status=202)
        visit = Visit(call.headers, None, None, call.context)
        await self._pipeline.grant(visit)
        kept = sum([await self._keep(visit, event) for event in events])
        if visit.known is not None and kept:
            self._pipeline.recent.forget(visit.known.subject)
        return json_answer({"kept": kept}, status=202)

    async def vitals(self, call: Call) -> Answer:
        """Sort measurements into the page's distributions. Raises: Rejected("bad-request")."""
        vitals = read_vitals(await read_json(call.receive, self._max_body), frozenset((*self._places(), "page")))
        if not is_speculative(call.headers):
            for vital in vitals:
                self._metrics.histogram(vital.metric).observe(vital.value, vital.slot, vital.state)
        return empty_answer(204)

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
