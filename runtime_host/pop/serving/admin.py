"""The admin listener, for this machine only: `/metrics` and `/readyz`."""

from collections.abc import Callable, Mapping
from typing import Any

from consent_core.telemetry.metrics import PAGE_TYPE, Metrics
from runtime_host.pop.serving.answers import INERT, PRIVATE, Answer, json_answer
from runtime_host.pop.serving.routing import Call, Route


class Admin:
    """`status`: how the POP stands, as JSON; it is ready once `in_sync` is true."""

    def __init__(self, metrics: Metrics, status: Callable[[], Mapping[str, Any]]) -> None:
        self._metrics = metrics
        self._status = status

    @property
    def routes(self) -> tuple[Route, ...]:
        """Both only read."""
        return (
            Route("metrics", "/metrics", {"GET": self.metrics}),
            Route("readyz", "/readyz", {"GET": self.readyz}),
        )

    async def metrics(self, _: Call) -> Answer:
        """The Prometheus page."""
        return Answer(200, ((b"content-type", PAGE_TYPE.encode("ascii")), PRIVATE, *INERT), self._metrics.page())

    async def readyz(self, _: Call) -> Answer:
        """200 while in sync, 503 while everybody gets the default."""
        status = self._status()
        return json_answer(status, status=200 if status["in_sync"] else 503)


async def healthz(_: Call) -> Answer:
    """The process answers; whether it personalises is `/readyz`' business."""
    return json_answer({"ok": True})
