"""The mesh listener: decisions for other workloads, and hints. `consent_core.trust.mesh.MeshGuard` stands before it.

POST /v1/render  {slot, payload: {scope, context}, region}   Authorization: Bearer <consent token>
POST /v1/purge   {}                                          there is news in the log: poll now
"""

from collections.abc import Callable
from urllib.parse import urlencode

from consent_core.audit.recording import current_context
from consent_core.decision.request import read_headers
from consent_core.errors import Rejected
from consent_core.formats.fields import Fields
from consent_core.formats.token import CATEGORIES
from consent_core.http.answers import Answer, empty_answer
from consent_core.http.asgi import Scope, read_json
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.pipeline import Pipeline, Visit
from runtime_host.pop.serving.routing import Call, Route

_CONTEXT = ("path", "section", "tags", "language")


class Mesh:
    """The handlers of the mesh listener."""

    def __init__(
        self, pop: str, pipeline: Pipeline, delivery: Delivery, hint: Callable[[], None], max_body: int
    ) -> None:
        self._pop = pop
        self._pipeline = pipeline
        self._delivery = delivery
        self._hint = hint
        self._max_body = max_body

    @property
    def routes(self) -> tuple[Route, ...]:
        """Not guarded against other sites: no browser has a certificate for this listener."""
        return (
            Route("mesh-render", "/v1/render", {"POST": self.render}, guarded=False),
            Route("mesh-purge", "/v1/purge", {"POST": self.purge}, guarded=False),
        )

    async def scopes(self, scope: Scope) -> tuple[str, ...]:
        """The effective categories of the token a mesh request carries, for the guard to authorise by."""
        visit = Visit(read_headers(scope), None, None, current_context())
        await self._pipeline.grant(visit)
        return visit.grant.categories

    async def render(self, call: Call) -> Answer:
        """The slot decision for the visitor whose token the caller forwards. Raises: Rejected("render-denied", 403)."""
        body = Fields(await read_json(call.receive, self._max_body), _refuse, ("slot", "payload", "region"))
        payload = Fields(body.mapping("payload"), _refuse, ("scope",), ("context",))
        scope = payload.one_of("scope", CATEGORIES)
        if body.text("region") != self._pop:
            raise Rejected("render-denied", "this is another region", status=403)
        if scope not in await self.scopes(call.scope):
            raise Rejected("render-denied", f"{scope} is not effective for this token", status=403)
        return await self._delivery.slot(body.text("slot", 64), _query(payload), call.headers, call.context)

    async def purge(self, call: Call) -> Answer:
        """Look into the log now. The caller is not believed; the log is the truth."""
        await read_json(call.receive, self._max_body)
        self._hint()
        return empty_answer(202)


def _query(payload: Fields) -> bytes:
    """A page context as the public routes spell it."""
    if payload.absent("context"):
        return b""
    context = Fields(payload.mapping("context"), _refuse, (), _CONTEXT)
    return urlencode({name: context.text(name, 256) for name in _CONTEXT if not context.absent(name)}).encode()


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)
