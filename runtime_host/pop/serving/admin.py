"""The admin listener, for this machine only: `/metrics` and `/readyz`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from consent_core.formats.status import OUTBOX_LATE_S
from consent_core.http.answers import (
    INERT,
    PRIVATE,
    Answer,
    json_answer,
)
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.prometheus import PAGE_TYPE, page
from runtime_host.pop.serving.routing import Call, Route

OUTBOX_LATE = "outbox-late"
RENDERERS_DEAD = "renderers-dead"  # no render process can be started


class Admin:
    """`status`: how the POP stands, as JSON; it is ready once `in_sync` is true and all `workers` serve, if it has any.

    `collect`: awaited before the metrics page is made.
    """

    def __init__(
        self, metrics: Metrics, status: Callable[[], Mapping[str, Any]], collect: Callable[[], Awaitable[None]]
    ) -> None:
        self._metrics = metrics
        self._status = status
        self._collect = collect

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
        """200 while in sync with all workers, 503 while everybody gets the default or a worker is missing.

        `leave`: reasons to take this POP out of service, since it alone is broken.
        `stay`: reasons to look at it that take no POP out of service (a backlog everywhere must not empty the fleet).
        """
        status = {**self._status()}
        status["leave"], status["stay"] = _leave(status), _stay(status)
        workers = status.get("workers", {"wanted": 1, "serving": 1})
        ready = status["in_sync"] and workers["serving"] >= workers["wanted"] and not status["leave"]
        return json_answer(status, status=200 if ready else 503)


def _leave(status: Mapping[str, Any]) -> list[str]:
    """What is broken here alone."""
    return [RENDERERS_DEAD] if status.get("renderers", {}).get("dead") else []


def _stay(status: Mapping[str, Any]) -> list[str]:
    """Why to look at this POP although it stays in service: to take it out would help nobody."""
    return [OUTBOX_LATE] if status.get("outbox_oldest_s", 0) > OUTBOX_LATE_S else []


async def healthz(_: Call) -> Answer:
    """The process answers; whether it personalises is `/readyz`' business."""
    return json_answer({"ok": True})
