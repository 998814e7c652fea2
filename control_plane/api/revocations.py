"""`/v1/revocations`: the numbered poll, its stream of hints, what an operator revokes, and the receipts for it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from consent_core.formats.canonical import canonical_json
from consent_core.formats.fields import MAX_NUMBER
from consent_core.formats.log_head import read_head_header
from consent_core.formats.revocation import MAX_ENTRIES, Answer, Entry, entry_value
from consent_core.formats.revocation_request import RevocationRequest, read_revocation_request
from control_plane.api.http import body_reader, described, json_answer
from control_plane.log.log import RevocationLog
from control_plane.log.standing import Held
from control_plane.policies.pops import Pops
from control_plane.revocations.revoking import Revoking

Number = Annotated[int, Query(ge=0, le=MAX_NUMBER)]
Nonce = Annotated[str, Query(pattern="^[A-Za-z0-9_-]{0,64}$", description="chosen by the poller, signed in the answer")]

Origin = Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{22}$", description="the log that the poller follows")]
Chain = Annotated[str | None, Query(pattern="^sha256:[0-9a-f]{64}$", description="hash of the entry `after`")]
Shown = Annotated[str | None, Header(max_length=4096, description="the highest signed head that the poller holds")]


def revocation_routes(
    log: RevocationLog, revoking: Revoking, pops: Pops, max_wait_s: int, max_body_bytes: int
) -> APIRouter:
    """The routes over one log."""
    router = APIRouter(tags=["revocations"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one
    Wait = Annotated[int, Query(ge=0, le=max_wait_s, description="seconds to wait for a new entry")]  # noqa: N806
    Limit = Annotated[int, Query(ge=1, le=MAX_ENTRIES)]  # noqa: N806

    @router.get("/v1/revocations", openapi_extra=described(answer=Answer))
    async def poll(
        after: Number = 0,
        wait: Wait = 0,
        nonce: Nonce = "",
        limit: Limit = MAX_ENTRIES,
        origin: Origin = None,
        chain: Chain = None,
        log_head: Shown = None,
    ) -> Response:
        """Entries after a number, signed; 410 with a snapshot if pruned; 409 if this is not the poller's log."""
        if wait:
            await log.hints.beyond(after, wait)
        held = Held(origin, chain, None if log_head is None else read_head_header(log_head))
        reply = await run_in_threadpool(log.reply, after, nonce, limit, held)
        return json_answer(reply.body, reply.status)

    @router.get("/v1/revocations/stream", response_class=StreamingResponse)
    async def stream() -> StreamingResponse:
        """Server-sent events: the head, each time it moves. A hint: poll for the truth."""
        return StreamingResponse(
            log.hints.stream(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    @router.post("/v1/revocations", openapi_extra=described(RevocationRequest, Entry))
    def revoke(body: Body) -> Response:
        """Revoke consent, a visitor, a key or a model. Repeating it adds nothing."""
        return json_answer(canonical_json(entry_value(revoking.revoke(read_revocation_request(body)))))

    @router.get("/v1/revocations/{seq}/receipts")
    def receipts(seq: Annotated[int, Path(ge=1, le=MAX_NUMBER)]) -> Response:
        """The entry, and what each POP has said of it."""
        return json_answer(
            canonical_json(
                {
                    "entry": entry_value(log.entry(seq)),
                    **pops.receipts(seq),
                    "control_plane": revoking.erasing.report(seq),
                }
            )
        )

    return router
