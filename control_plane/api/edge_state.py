"""`/v1/edge-state`: what an edge without a POP's stores must know, signed and soon out of date.

On the mesh for edges with an identity; on the public listener too, because WASI hosts cannot present a certificate.
It names no visitor and holds no secret, so whoever reads it learns what the policy is and how busy the log was.
"""

import json
import secrets
from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import Connection, select
from starlette.responses import Response

from consent_core.clock import Clock
from consent_core.formats.edge_state import MASKS as CHOICES
from consent_core.formats.edge_state import (
    SALT_BYTES,
    EdgePolicy,
    EdgeState,
    EdgeTable,
    categories_of,
    denial_name,
    mask_of,
    sign_edge_state,
)
from consent_core.formats.token import Key
from consent_core.policy.table import PolicyTable
from consent_core.trust.keys import KeyStore
from control_plane.log.log import TOKENS_GONE_S, RevocationLog
from control_plane.log.standing import require_serving
from control_plane.policies.current import Policies
from control_plane.store.schema import bundles, log_head
from control_plane.store.schema import log as log_table

KEPT_S = 0.25  # how long one state serves everybody: a thousand edges ask for it per second, it is made four times
MAX_OLDER = 256  # policies: a token lives five minutes, so its hash is among the newest


@dataclass(frozen=True, slots=True)
class Made:
    """A signed state and when it was made, on the process's own clock."""

    body: bytes
    at: float


class EdgeStates:
    """Makes edge states from one store. `_made` is replaced whole; any thread may do so."""

    def __init__(self, log: RevocationLog, policies: Policies, keys: KeyStore, clock: Clock) -> None:
        self._log = log
        self._policies = policies
        self._keys = keys
        self._clock = clock
        self._made: Made | None = None

    def current(self) -> bytes:
        """The signed state of at most `KEPT_S` ago. Raises: Unavailable("policy-missing")."""
        known, elapsed = self._made, self._clock.elapsed()
        if known is None or elapsed - known.at > KEPT_S:
            known = self._made = Made(sign_edge_state(self.state(), self._keys.current("log")), elapsed)
        return known.body

    def state(self) -> EdgeState:
        """The state of now, in one consistent view of the store."""
        now, salt = self._clock.now(), secrets.token_bytes(SALT_BYTES)
        with self._log.reading() as connection:
            head = connection.execute(select(log_head)).one()
            require_serving(head.standing)
            policy = self._policies.current(connection)
            newest = select(bundles.c.hash).order_by(bundles.c.revision.desc()).limit(MAX_OLDER)
            hashes = tuple(connection.scalars(newest))
            denied = _denied(connection, salt, now - TOKENS_GONE_S)
        older = tuple(name for name in hashes if name != policy.hash)
        table = EdgePolicy(policy.hash, policy.bundle.revision, older, _table(policy.table))
        return EdgeState(now, head.origin, head.head, table, self._token_keys(now), salt, denied)

    def _token_keys(self, now: int) -> tuple[Key, ...]:
        revoked = self._log.revoked_keys()
        return tuple(key for key in self._keys.trust_file().keys("token", now) if key.kid not in revoked)


def edge_state_routes(states: EdgeStates) -> APIRouter:
    """The route over one store; the same on both listeners."""
    router = APIRouter(tags=["edges"])

    @router.get("/v1/edge-state", response_class=Response)
    def edge_state() -> Response:
        """Keys, policy table and denials for portable edges: one signature line, then JSON. Good for 60 s."""
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(states.current(), media_type="application/vnd.consent-edge.edge-state", headers=headers)

    return router


def _denied(connection: Connection, salt: bytes, since: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """What tokens that may still live have lost. An older entry names only tokens that ran out."""
    wanted = select(log_table.c.subject, log_table.c.ver, log_table.c.categories).where(
        log_table.c.kind.in_(("session", "purge")), log_table.c.at >= since
    )
    said: dict[str, dict[int, int]] = {}
    for subject, ver, categories in connection.execute(wanted):
        losses = said.setdefault(denial_name(salt, subject), {})
        losses[ver] = losses.get(ver, 0) | mask_of(json.loads(categories))
    return {name: tuple(sorted(losses.items())) for name, losses in sorted(said.items())}


def _table(table: PolicyTable) -> EdgeTable:
    return EdgeTable({place: (_row(table, place, False), _row(table, place, True)) for place in table.jurisdictions})


def _row(table: PolicyTable, place: str, gpc: bool) -> str:
    answers = (table.lookup(place, gpc, categories_of(choices)).categories for choices in range(CHOICES))
    return "".join(str(mask_of(answer)) for answer in answers)
