"""`/.well-known/jwks.json` and key rotation."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from consent_core.clock import Clock
from consent_core.formats.canonical import canonical_json
from consent_core.formats.jwks import write_jwks
from consent_core.formats.token import MAX_LIFETIME_S
from consent_core.trust.keys import KeyStore
from control_plane.api.http import json_answer
from control_plane.log.log import RevocationLog

Role = Literal["token", "component", "bundle", "log", "release", "ledger", "attestation"]
MAX_OVERLAP_S = 30 * 86_400


def key_routes(keys: KeyStore, log: RevocationLog, clock: Clock, rotated: Callable[[], None]) -> APIRouter:
    """The routes over one key store. `rotated`: a new key signs from now on."""
    router = APIRouter(tags=["keys"])

    @router.get("/.well-known/jwks.json")
    def jwks() -> Response:
        """The keys that tokens may be signed with: valid now, and not revoked."""
        revoked = log.revoked_keys()
        published = keys.trust_file().keys("token", clock.now())
        return json_answer(write_jwks(key for key in published if key.kid not in revoked))

    @router.post("/v1/keys/{role}/rotate")
    def rotate(role: Role, overlap_s: Annotated[int, Query(ge=0, le=MAX_OVERLAP_S)] = 2 * MAX_LIFETIME_S) -> Response:
        """Sign with a new key from now on; what the old one signed stays good for the overlap."""
        kid = keys.rotate(role, overlap_s).kid
        rotated()
        return json_answer(canonical_json({"role": role, "kid": kid}))

    return router
