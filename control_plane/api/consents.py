"""`/v1/consents`: grant, look, refresh, withdraw. `-` stands for a `sub` that the caller does not know."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from starlette.responses import Response

from consent_core.audit.recording import current_note
from consent_core.formats.consent import (
    SESSION,
    SUBJECT,
    ConsentAnswer,
    ConsentRequest,
    RefreshRequest,
    WithdrawalRequest,
    read_consent_request,
    read_refresh_request,
    read_withdrawal_request,
    write_answer,
)
from consent_core.formats.revocation import subject_of
from control_plane.api.requests import body_reader, described, json_answer, require_pop
from control_plane.consent.consents import Consents

Sub = Annotated[
    str, Path(pattern=rf"^(?:{SUBJECT.pattern}|-)$", description="the visitor, or - if only the session is known")
]
SessionHeader = Annotated[str, Header(alias="Consent-Session", pattern=f"^{SESSION.pattern}$")]


def consent_routes(consents: Consents, max_body_bytes: int) -> APIRouter:
    """The routes over one store."""
    router = APIRouter(tags=["consent"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one

    @router.post("/v1/consents", openapi_extra=described(ConsentRequest, ConsentAnswer))
    def grant(request: Request, body: Body) -> Response:
        """Record what a person chose, or was told; rotates the session."""
        asked = read_consent_request(body)
        require_pop(request, asked.pop)
        return _answer(consents.grant(asked))

    @router.get("/v1/consents/{sub}", openapi_extra=described(answer=ConsentAnswer))
    def look(sub: Sub, session: SessionHeader) -> Response:
        """The record in force, without a token."""
        return _answer(consents.look(_named(sub), session))

    @router.post("/v1/consents/{sub}/refresh", openapi_extra=described(RefreshRequest, ConsentAnswer))
    def refresh(request: Request, sub: Sub, body: Body) -> Response:
        """A new token for an unchanged record; never a wider one."""
        asked = read_refresh_request(body)
        require_pop(request, asked.pop)
        return _answer(consents.refresh(_named(sub), asked))

    @router.delete("/v1/consents/{sub}", openapi_extra=described(WithdrawalRequest, ConsentAnswer))
    def withdraw(request: Request, sub: Sub, body: Body) -> Response:
        """Take categories back; counted once per idempotency key."""
        asked = read_withdrawal_request(body)
        require_pop(request, asked.pop)
        return _answer(consents.withdraw(_named(sub), asked))

    return router


def _answer(answer: ConsentAnswer) -> Response:
    """The answer, noted for the audit trail: whose consent it was, and what it came to."""
    note = current_note()
    note.about(subject_of(answer.sub), (("sub", answer.sub), ("ver", answer.ver)))
    note.say(choices=tuple(answer.choices), effective=tuple(answer.categories))
    return json_answer(write_answer(answer))


def _named(sub: str) -> str | None:
    return None if sub == "-" else sub
