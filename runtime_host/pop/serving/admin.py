"""The admin listener, for this machine only: `/metrics` and `/readyz`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from consent_core.errors import ConsentEdgeError
from consent_core.health.watching import Health
from consent_core.http.answers import (
    INERT,
    PRIVATE,
    Answer,
    json_answer,
)
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.prometheus import PAGE_TYPE, page
from runtime_host.pop.serving.routing import Call, Route


class Admin:
    """`status`: how the POP stands, as JSON. `health`: what is wrong. `collect`: awaited before a metrics page."""

    def __init__(
        self,
        metrics: Metrics,
        status: Callable[[], Mapping[str, Any]],
        collect: Callable[[], Awaitable[None]],
        health: Health,
    ) -> None:
        self._metrics = metrics
        self._status = status
        self._collect = collect
        self._health = health

    @property
    def routes(self) -> tuple[Route, ...]:
        """Both only read."""
        return (
            Route("metrics", "/metrics", {"GET": self.metrics}),
            Route("readyz", "/readyz", {"GET": self.readyz}),
        )

    async def metrics(self, _: Call) -> Answer:
        """The Prometheus page."""
        await self._collect()
        body = page(self._metrics)
        kind, length = PAGE_TYPE.encode("ascii"), str(len(body)).encode("ascii")
        return Answer(200, ((b"content-type", kind), (b"content-length", length), PRIVATE, *INERT), body)

    async def readyz(self, _: Call) -> Answer:
        """503 while this POP alone is broken (`leave`), else 200. `stay`: reasons that only alarm."""
        seen = self._health.look()
        answer = {**self._standing(), "leave": seen.leave, "stay": seen.stay}
        return json_answer(answer, status=503 if seen.leave else 200)

    def _standing(self) -> Mapping[str, Any]:
        """How the POP stands; nothing where its store does not answer, which `leave` says."""
        try:
            return self._status()
        except ConsentEdgeError:
            return {}


async def healthz(_: Call) -> Answer:
    """The process answers; whether it personalises is `/readyz`' business."""
    return json_answer({"ok": True})
