"""What an audit record is about, in one word, by its method and route: `edge audit read --event`.

Machines ask all day, so their polls are read apart from what people did.
"""

from collections.abc import Mapping
from typing import Any

PEOPLE, ALL, POLL, OTHER = "people", "all", "poll", "request"

# At a POP a route has a name, at the control plane a pattern.
_EVENTS = {
    ("POST", "consent"): "grant",
    ("POST", "/v1/consents"): "grant",
    ("DELETE", "consent"): "withdraw",
    ("DELETE", "/v1/consents/{sub}"): "withdraw",
    ("POST", "/v1/withdrawals"): "withdraw",
    ("POST", "consent-form"): "form",
    ("POST", "consent-refresh"): "refresh",
    ("POST", "/v1/consents/{sub}/refresh"): "refresh",
    ("GET", "consent"): "look",
    ("GET", "/v1/consents/{sub}"): "look",
    ("GET", "slots"): "delivery",
    ("GET", "images"): "delivery",
    ("GET", "renditions"): "delivery",
    ("POST", "mesh-purge"): "purge",
    ("POST", "/v1/revocations"): "revoke",
    ("POST", "/v1/policy/bundle"): "publish",
    ("POST", "/v1/keys/{role}/rotate"): "rotate",
    ("POST", "/v1/evidence"): "evidence",
    ("GET", "/v1/visitors/{subject}"): "visitor",
    ("GET", "healthz"): POLL,
    ("GET", "/healthz"): POLL,
    ("GET", "/.well-known/jwks.json"): POLL,
    ("GET", "/v1/edge-state"): POLL,
    ("GET", "/v1/policy/bundle"): POLL,
    ("GET", "/v1/revocations"): POLL,
    ("GET", "/v1/revocations/stream"): POLL,
    ("GET", "/ledger/checkpoint"): POLL,
    ("GET", "/ledger/tile/{path:path}"): POLL,
    ("GET", "/ledger/attesters/{n}"): POLL,
    ("POST", "/v1/attestations"): POLL,
    ("POST", "/v1/attesters"): POLL,
    ("POST", "/v1/pops/{pop}/status"): POLL,
    ("POST", "/v1/pops/{pop}/kept"): POLL,
}
NAMES = (PEOPLE, ALL, OTHER, *sorted({*_EVENTS.values(), "shred", "retention"}))


def event_of(fields: Mapping[str, Any]) -> str:
    """The event of a record: the writer's own, or the request's."""
    own = fields.get("event")
    return str(own) if own is not None else _EVENTS.get((str(fields.get("method")), str(fields.get("route"))), OTHER)


def is_of(fields: Mapping[str, Any], wanted: str) -> bool:
    """Whether a record is of the event asked for: one of `NAMES`."""
    found = event_of(fields)
    return wanted == ALL or (wanted == PEOPLE and found != POLL) or found == wanted
