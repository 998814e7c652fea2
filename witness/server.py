"""`POST /add-checkpoint` of one witness, and `GET /healthz`.

Requests need no authentication: what counts is the log's signature on the checkpoint. Answers are plain text, as the
specification has them; `consent-edge-code` says why something was refused.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError
from consent_core.formats.add_checkpoint import MAX_BODY_BYTES, PATH, SIZE_TYPE
from consent_core.formats.note import cosign
from witness.judge import CONFLICT, Logs, Refuse, judge, read_request
from witness.keys import WitnessKey
from witness.store import HeadStore

UNAVAILABLE, TOO_LARGE = 503, 413


@dataclass(frozen=True, slots=True)
class WitnessServer:
    """One witness. `logs()`: the logs it knows now; `answered`: how often each code was answered."""

    key: WitnessKey
    store: HeadStore
    logs: Callable[[], Logs]
    clock: Clock
    answered: Counter[str] = field(default_factory=Counter)

    def add_checkpoint(self, body: bytes) -> Response:
        """The cosignature, or why there is none."""
        read = read_request(body, self.logs())
        if isinstance(read, Refuse):
            return self._refusal(read)
        request, checkpoint = read
        now = self.clock.now()
        verdict = self.store.decide(checkpoint.origin, lambda head: judge(request, checkpoint, head), now)
        if isinstance(verdict, Refuse):
            return self._refusal(verdict)
        line = cosign(verdict.note, self.key.name, self.key, now)  # only now: the head is on the disk
        crash_point("witness-signed")
        self.answered["cosigned"] += 1
        return Response(line, media_type="text/plain; charset=utf-8")

    def application(self) -> Starlette:
        """Ready to be served."""
        return Starlette(routes=[Route(PATH, self._add, methods=["POST"]), Route("/healthz", _healthz)])

    async def _add(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return self._refusal(Refuse(TOO_LARGE, "body-too-large"))
        try:
            return await run_in_threadpool(self.add_checkpoint, body)
        except ConsentEdgeError as error:
            return self._refusal(Refuse(UNAVAILABLE, error.code))

    def _refusal(self, refusal: Refuse) -> Response:
        self.answered[refusal.code] += 1
        headers = {"consent-edge-code": refusal.code}
        if refusal.status == CONFLICT:
            return Response(f"{refusal.size}\n", CONFLICT, {**headers, "content-type": SIZE_TYPE})
        return PlainTextResponse(f"{refusal.code}\n", refusal.status, headers)


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")
