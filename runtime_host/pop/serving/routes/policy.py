"""What a browser checks a POP's word against: `GET /v1/policy`, the policy in force and its clauses, and
`GET /v1/trust`, the public keys.
"""

from collections.abc import Callable
from typing import Any, Protocol

from consent_core.decision.grant import jurisdiction_of
from consent_core.decision.request import honours_gpc
from consent_core.errors import Unavailable
from consent_core.formats.token import CATEGORIES
from consent_core.http.answers import INERT, JSON, PRIVATE, Answer, json_answer
from consent_core.policy.table import UNKNOWN, PolicyTable
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.serving.routing import Call

GPC_SINCE = "2026-11-30"  # when this statement last changed (W3C Global Privacy Control, "GPC support resource")


class Active(Protocol):
    """A policy bundle in force."""

    @property
    def hash(self) -> str:
        """Its name."""
        ...

    @property
    def revision(self) -> int:
        """Its number."""
        ...

    @property
    def table(self) -> Any:
        """Its `PolicyTable`."""
        ...


class Holder(Protocol):
    """What knows the policy in force: the trust state."""

    @property
    def policy(self) -> Active | None:
        """The policy, None before the first."""
        ...


class PolicyPage:
    """The policy as it applies to the caller."""

    def __init__(self, holder: Holder, jurisdiction: str, geo_header: bytes | None) -> None:
        self._holder = holder
        self._jurisdiction = jurisdiction
        self._geo_header = geo_header

    async def get(self, call: Call) -> Answer:
        """What would be effective here if everything were chosen, and why. Raises: Unavailable("no-policy")."""
        policy = self._holder.policy
        if policy is None:
            raise Unavailable("no-policy", "no policy bundle has arrived yet")
        table: PolicyTable = policy.table
        place = jurisdiction_of(call.headers, self._geo_header, self._jurisdiction)
        law = table.laws.get(place) or table.laws[UNKNOWN]
        most = table.lookup(place, honours_gpc(call.headers), CATEGORIES)
        return json_answer(
            {
                "hash": policy.hash,
                "revision": policy.revision,
                "jurisdiction": law.jurisdiction,
                "honours_gpc": law.honours_gpc,
                "categories": {
                    name: {
                        "available": name in most.categories,
                        "reason": most.reasons[name],
                        "clause": table.rules[most.reasons[name]].clause,
                    }
                    for name in CATEGORIES
                },
                "clauses": sorted({law.notice, *(table.rules[reason].clause for reason in most.reasons.values())}),
            }
        )


class TrustPage:
    """The trust file that this POP believes. Who doubts this POP compares it with one from elsewhere."""

    def __init__(self, trust: Callable[[], TrustFile]) -> None:
        self._trust = trust

    async def get(self, call: Call) -> Answer:
        """The file, in its one spelling."""
        body = self._trust().to_bytes()
        length = (b"content-length", str(len(body)).encode("ascii"))
        return Answer(200, (JSON, length, *INERT, PRIVATE), body)


async def gpc(call: Call) -> Answer:
    """`/.well-known/gpc.json`: this site abides by Global Privacy Control, wherever the law gives it effect."""
    return json_answer({"gpc": True, "lastUpdate": GPC_SINCE})
