"""`/v1/policy/bundle` and `/v1/pops`: the policy in force, and how far each POP has come."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from starlette.responses import Response

from consent_core.audit.recording import current_context
from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import REGION
from consent_core.formats.status import PopStatus, read_status
from consent_core.http.conditions import holds
from control_plane.api.http import body_reader, described, json_answer, require_pop
from control_plane.policies.current import Policies, Stored
from control_plane.policies.pops import Pops

BUNDLE_TYPE = "application/vnd.openpolicyagent.bundles"
Pop = Annotated[str, Path(pattern=f"^{REGION.pattern}$")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


def policy_routes(policies: Policies, pops: Pops, max_body_bytes: int, max_bundle_bytes: int) -> APIRouter:
    """The routes over one store."""
    router = APIRouter(tags=["policy"])
    Body = Annotated[bytes, Depends(body_reader(max_body_bytes))]  # noqa: N806  # a type, named as one
    BundleBody = Annotated[bytes, Depends(body_reader(max_bundle_bytes))]  # noqa: N806

    @router.get("/v1/policy/bundle")
    def fetch(if_none_match: IfNoneMatch = None) -> Response:
        """The signed bundle in force; 304 if the caller has it."""
        stored = policies.bundle()
        if if_none_match is not None and holds(if_none_match.encode("latin-1"), _etag(stored)):
            return Response(None, 304, _headers(stored))
        return Response(stored.body, 200, _headers(stored), media_type=BUNDLE_TYPE)

    @router.post("/v1/policy/bundle")
    def publish(body: BundleBody) -> Response:
        """Put a signed bundle in force. Publishing the one in force again changes nothing."""
        try:
            stored = policies.publish(body)
        except Untrusted as error:  # here it is the caller who must act
            raise Untrusted(error.code, error.message, status=422) from error
        return json_answer(canonical_json({"hash": stored.hash, "revision": stored.revision, "at": stored.at}))

    @router.get("/v1/pops")
    def statuses() -> Response:
        """Each POP's newest report beside the policy and the log's head."""
        return json_answer(canonical_json(pops.statuses()))

    @router.get("/v1/pops/{pop}/status")
    def status(pop: Pop) -> Response:
        """One POP's newest report."""
        return json_answer(canonical_json(pops.status(pop)))

    @router.post("/v1/pops/{pop}/status", openapi_extra=described(PopStatus), status_code=204)
    def report(request: Request, pop: Pop, body: Body) -> Response:
        """A POP reports itself."""
        require_pop(request, pop)
        reported = read_status(body)
        heads = tuple(f"{trail}={head}" for trail, head in sorted(reported.worker_heads.items()))
        current_context().say(pop=pop, audit_head=reported.audit_head, **({"worker_heads": heads} if heads else {}))
        pops.report(pop, reported)
        return Response(None, 204)

    return router


def _etag(stored: Stored) -> str:
    return f'"{stored.etag}"'


def _headers(stored: Stored) -> dict[str, str]:
    return {
        "etag": _etag(stored),
        "cache-control": "no-cache",
        "policy-hash": stored.hash,
        "policy-revision": str(stored.revision),
    }
