"""`/v1/edge-state`: what an edge without a POP's stores must know, signed and soon out of date.

On the mesh for edges with an identity; on the public listener too, because WASI hosts cannot present a certificate.
It names no visitor and holds no secret, so its reader learns what the policy is and how busy the log was.
"""

import gzip
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header
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
from consent_core.http.answers import COMPRESSION_LEVEL
from consent_core.http.conditions import holds, takes_gzip
from consent_core.policy.table import PolicyTable
from consent_core.trust.keys import KeyStore
from control_plane.log.log import TOKENS_GONE_S, RevocationLog
from control_plane.log.standing import require_serving
from control_plane.policies.current import Policies
from control_plane.store.schema import bundles, log_head
from control_plane.store.schema import log as log_table

LOOK_S = 0.25  # between two looks at whether the log moved
KEPT_S = 1.0  # between two states where it did not
STALE_S = 5.0  # a state of this age is handed out while the next is made; an older one is waited for
SHARE = 4  # a state that takes long is made less often: building takes a fifth of one core at most
EDGE_STATE_TYPE = "application/vnd.consent-edge.edge-state"
Condition = Annotated[str | None, Header(alias="If-None-Match")]
Accepted = Annotated[str, Header(alias="Accept-Encoding")]
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
MAX_OLDER = 256  # policies: a token lives five minutes, so its hash is among the newest


@dataclass(frozen=True, slots=True)
class Made:
    """A signed state, plain and compressed. `at`, `took`: seconds on the process's own clock. `head`: of the log."""

    body: bytes
    packed: bytes
    etag: str
    head: int
    at: float
    took: float


class EdgeStates:
    """Makes edge states from one store, one at a time. `_made`, `_looked`: replaced whole, by who holds `_building`."""

    def __init__(self, log: RevocationLog, policies: Policies, keys: KeyStore, clock: Clock) -> None:
        self._log = log
        self._policies = policies
        self._keys = keys
        self._clock = clock
        self._building = threading.Lock()
        self._made: Made | None = None
        self._looked = 0.0

    def current(self) -> Made:
        """The newest state, or the last while another caller makes the next. Raises: Unavailable("policy-missing")."""
        known, now = self._made, self._clock.elapsed()
        if known is not None and now < self._looked + max(LOOK_S, SHARE * known.took):
            return known
        if known is None or now - known.at > STALE_S:
            self._building.acquire()
        elif not self._building.acquire(blocking=False):
            return known
        try:
            return self._next(self._made, self._clock.elapsed())
        finally:
            self._building.release()

    def _next(self, known: Made | None, now: float) -> Made:
        """The state that the last holder of the lock made, while it is good; else a new one."""
        if known is not None and now - known.at < KEPT_S and self._log.head() == known.head:
            self._looked = now
            return known
        state = self.state()
        body = sign_edge_state(state, self._keys.current("log"))
        packed, etag = gzip.compress(body, COMPRESSION_LEVEL, mtime=0), hashlib.sha256(body).hexdigest()[:32]
        self._looked = self._clock.elapsed()
        self._made = Made(body, packed, etag, state.head, now, self._looked - now)
        return self._made

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
    def edge_state(if_none_match: Condition = None, accept_encoding: Accepted = "") -> Response:
        """Keys, policy table and denials for portable edges: one signature line, then JSON. Good for 60 s."""
        made, packed = states.current(), takes_gzip(accept_encoding.encode("latin-1"))
        etag = f'"{made.etag}-gzip"' if packed else f'"{made.etag}"'
        headers = {"etag": etag, "vary": "accept-encoding", **_HEADERS}
        if if_none_match is not None and holds(if_none_match.encode("latin-1"), etag):
            return Response(None, 304, headers)
        encoding = {"content-encoding": "gzip"} if packed else {}
        return Response(made.packed if packed else made.body, 200, headers | encoding, media_type=EDGE_STATE_TYPE)

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
