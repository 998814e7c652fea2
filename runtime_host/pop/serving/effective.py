"""What a token's categories come down to here and now.

effective = token's scopes ∩ table(jurisdiction of this request, this request's Sec-GPC, scopes) − what the log took.
A POP only ever narrows. The answer depends on nothing but the claims, the jurisdiction, the signal and what is in
force at this generation, so it is kept with the token until the generation moves.
"""

from consent_core.formats.token import CATEGORIES, Claims
from runtime_host.pop.jurisdictions import UNKNOWN_JURISDICTION, is_jurisdiction
from runtime_host.pop.serving.grants import Grant, KnownToken
from runtime_host.pop.serving.ingress import Headers
from runtime_host.pop.serving.seams import Standing

STALE_OFF = frozenset({"behavioral", "experimental"})  # what an older policy may no longer allow

NOT_IN_SYNC = Grant((), "not-in-sync", False)
UNKNOWN_POLICY = Grant((), "policy-unknown", False)


def effective(known: KnownToken, jurisdiction: str, gpc: bool, standing: Standing) -> Grant:
    """What this token allows for a request from `jurisdiction` with or without Sec-GPC.

    An unknown policy hash allows nothing and asks for one sync; an older one loses `STALE_OFF`.
    """
    if not standing.in_sync():
        return NOT_IN_SYNC
    key = (jurisdiction, gpc)
    grant = known.grants.get(key)
    if grant is None:
        grant = grant_of(known.claims, known.subject, jurisdiction, gpc, standing)
        if grant is UNKNOWN_POLICY:
            standing.request_sync()
        else:
            known.grants[key] = grant
    return grant


def grant_of(claims: Claims, subject: str, jurisdiction: str, gpc: bool, standing: Standing) -> Grant:
    """The same, computed: by whoever keeps no tokens between requests, and is in sync."""
    status = standing.hash_status(claims.hash)
    if standing.policy is None or status == "unknown":
        return UNKNOWN_POLICY
    scopes = tuple(category for category in CATEGORIES if category in claims.scopes)
    allowed = standing.policy.table.lookup(jurisdiction, gpc, scopes).categories
    denied = standing.denied(subject, claims.ver)
    off = denied | STALE_OFF if status == "older" else denied
    categories = tuple(category for category in scopes if category in allowed and category not in off)
    return Grant(categories, _code(status, denied), status == "older", standing.policy.hash)


def _code(status: str, denied: frozenset[str]) -> str | None:
    if denied:
        return "revoked"
    return "policy-stale" if status == "older" else None


def jurisdiction_of(headers: Headers, geo_header: bytes | None, default: str) -> str:
    """The law that applies: the trusted header where one is configured, else the POP's own.

    A configured header that is missing or unreadable means unknown, hence strictest.
    """
    if geo_header is None:
        return default
    value = headers.get(geo_header, b"").decode("latin-1").strip().upper()
    return value if is_jurisdiction(value) else UNKNOWN_JURISDICTION
