"""What a token is worth here and now: the part of deciding that every edge shares.

effective = token's scopes ∩ table(jurisdiction of this request, this request's Sec-GPC, scopes) − what the log took
            − what the cookie `consent-no` refuses.
An edge only ever narrows.
"""

from dataclasses import dataclass

from consent_core.decision.countries import JURISDICTIONS
from consent_core.decision.request import Headers
from consent_core.decision.seams import TrustState
from consent_core.formats.fields import UNKNOWN_JURISDICTION
from consent_core.formats.refusals import NONE, refusals_in
from consent_core.formats.token import CATEGORIES, Claims


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is worth for one jurisdiction and signal while the generation lasts.

    `code` is None or says why categories are missing; `refresh`: the visitor's browser should fetch a new token.
    `policy`: the hash of the policy that was asked; None if none was.
    """

    categories: tuple[str, ...]
    code: str | None
    refresh: bool
    policy: str | None = None


STALE_OFF = frozenset({"behavioral", "experimental"})  # what an older policy may no longer allow


NOT_IN_SYNC = Grant((), "not-in-sync", False)


UNKNOWN_POLICY = Grant((), "policy-unknown", False)


def grant_of(claims: Claims, subject: str, jurisdiction: str, gpc: bool, trust_state: TrustState) -> Grant:
    """The same, computed: for an edge that keeps no tokens between requests and is in sync."""
    status = trust_state.hash_status(claims.hash)
    if trust_state.policy is None or status == "unknown":
        return UNKNOWN_POLICY
    scopes = tuple(category for category in CATEGORIES if category in claims.scopes)
    allowed = trust_state.policy.table.lookup(jurisdiction, gpc, scopes).categories
    denied = trust_state.denied(subject, claims.ver)
    off = denied | STALE_OFF if status == "older" else denied
    categories = tuple(category for category in scopes if category in allowed and category not in off)
    return Grant(categories, _code(status, denied), status == "older", trust_state.policy.hash)


def without_refused(grant: Grant, cookie_header: bytes | None) -> Grant:
    """The same without what this browser's own cookie says was refused. A request without one pays one search."""
    refusals = refusals_in(cookie_header)
    if refusals is NONE:
        return grant
    refused = refusals.categories
    categories = tuple(category for category in grant.categories if category not in refused)
    if len(categories) == len(grant.categories):
        return grant
    return Grant(categories, "refused", grant.refresh, grant.policy)


def _code(status: str, denied: frozenset[str]) -> str | None:
    if denied:
        return "revoked"
    return "policy-stale" if status == "older" else None


def jurisdiction_of(headers: Headers, geo_header: bytes | None, default: str) -> str:
    """The law that applies: by the trusted header where one is configured, else the POP's own.

    The header names a country (`DE`), a state (`US-CA`) or a jurisdiction (`EU`), in any case. `country+region` names
    two headers, the second for the state. What is missing, unreadable or in no table is unknown, hence strictest.
    """
    if geo_header is None:
        return default
    said = (headers.get(name, b"").decode("latin-1").strip().upper() for name in geo_header.split(b"+"))
    place = "-".join(part for part in said if part)
    return JURISDICTIONS.get(place) or JURISDICTIONS.get(place.partition("-")[0], UNKNOWN_JURISDICTION)
