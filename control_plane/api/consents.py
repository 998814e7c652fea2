"""`/v1/consents` and `/v1/withdrawals`: grant, look, refresh, withdraw. `-`: the caller knows no `sub`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from starlette.responses import Response

from consent_core.errors import Rejected
from consent_core.formats.consent import (
    SUBJECT,
    ConsentAnswer,
    ConsentRequest,
    RefreshRequest,
    read_consent_request,
    read_refresh_request,
    write_answer,
)
from consent_core.formats.session import CREDENTIAL
from consent_core.formats.withdrawals import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    RowError,
    WithdrawalAnswer,
    WithdrawalRow,
    read_row,
    read_rows,
    write_answers,
)
from control_plane.api.http import body_reader, described, json_answer, require_edge, require_pop
from control_plane.consent.consents import Consents

Sub = Annotated[
    str, Path(pattern=rf"^(?:{SUBJECT.pattern}|-)$", description="the visitor, or - if only the session is known")
]
SessionHeader = Annotated[str, Header(alias="Consent-Session", pattern=f"^{CREDENTIAL.pattern}$")]


def consent_routes(consents: Consents, max_body_bytes: int) -> APIRouter:
    """The routes over one store."""
    router = APIRouter(tags=["consent"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one

    Rows = Annotated[bytes, Depends(body_reader(MAX_BODY_BYTES))]  # noqa: N806

    @router.post("/v1/consents", openapi_extra=described(ConsentRequest, ConsentAnswer))
    def grant(request: Request, body: Body) -> Response:
        """Record what a person added, or was told; begins the next session."""
        asked = read_consent_request(body)
        require_pop(request, asked.pop)
        return _answer(consents.grant(asked))

    @router.get("/v1/consents/{sub}", openapi_extra=described(answer=ConsentAnswer))
    def look(request: Request, sub: Sub, session: SessionHeader) -> Response:
        """The record in force, without a token."""
        require_edge(request)
        return _answer(consents.look(_named(sub), session))

    @router.post("/v1/consents/{sub}/refresh", openapi_extra=described(RefreshRequest, ConsentAnswer))
    def refresh(request: Request, sub: Sub, body: Body) -> Response:
        """A new token for an unchanged record; never a wider one."""
        asked = read_refresh_request(body)
        require_pop(request, asked.pop)
        return _answer(consents.refresh(_named(sub), asked))

    @router.delete("/v1/consents/{sub}", openapi_extra=described(WithdrawalRow, ConsentAnswer))
    def withdraw(request: Request, sub: Sub, body: Body) -> Response:
        """Take categories back; a copy of a "no" counts once."""
        asked = read_row(body)
        require_pop(request, asked.pop)
        return _answer(consents.withdraw(_named(sub), asked))

    @router.post("/v1/withdrawals", openapi_extra=described(WithdrawalRow, WithdrawalAnswer))
    def withdraw_many(request: Request, body: Rows) -> Response:
        """Up to 256 rows, one JSON object a line; an answer for each, in order. A bad row blocks no other."""
        rows = tuple(_own(request, row) for row in read_rows(body))
        answers = write_answers(consents.withdraw_many(rows))
        return Response(answers, headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE)

    return router


def _own(request: Request, row: WithdrawalRow | RowError) -> WithdrawalRow | RowError:
    """The row if the caller may bring it: an edge speaks for itself alone."""
    if isinstance(row, RowError):
        return row
    try:
        require_pop(request, row.pop)
    except Rejected as error:
        return RowError(row.key, error.code, error.message)
    return row


def _answer(answer: ConsentAnswer) -> Response:
    return json_answer(write_answer(answer))


def _named(sub: str) -> str | None:
    return None if sub == "-" else sub
