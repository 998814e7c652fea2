"""The five promises, each with its proof or with what is missing, asked of a running deployment.

    promises = examine(operator, admin=("http://127.0.0.1:8881",))

A promise holds only by what was seen just now; what cannot be asked is missing, never assumed.
"""

import asyncio
import math
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from consent_core.errors import ConsentEdgeError
from consent_core.formats.token import CATEGORIES
from edge_cli.operator import Operator

TARGET_S = 86_400
CHARTED = (
    "consent_edge_inp_seconds",
    "consent_edge_lcp_seconds",
    "consent_edge_consent_sync_delay_seconds",
)
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Promise:
    """One box of the checklist. `shown_by`: its proof, or what is missing."""

    name: str
    kept: bool
    shown_by: str


def examine(operator: Operator, admin: Sequence[str]) -> list[Promise]:
    """All five. `admin`: addresses of POPs' admin listeners."""
    checks: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
        ("scopes defined, every POP on the latest policy", lambda: _policy(operator)),
        ("edges under SPIFFE and mutual TLS", lambda: _mesh(operator)),
        ("federated updates within the privacy thresholds", lambda: _learning(operator)),
        ("INP, LCP and consent delay charted", lambda: _charts(admin)),
        ("requests answered within 24 hours", lambda: _requests(operator)),
    )
    return [_asked(name, check) for name, check in checks]


def _asked(name: str, check: Callable[[], tuple[bool, str]]) -> Promise:
    try:
        kept, shown_by = check()
    except ConsentEdgeError as error:
        return Promise(name, False, f"{error.code}: {error.message}")
    return Promise(name, kept, shown_by)


def _policy(operator: Operator) -> tuple[bool, str]:
    status = operator.get("/v1/pops")
    old = [pop["pop"] for pop in status["pops"] if not pop["current"]]
    if old or not status["pops"]:
        return False, f"not on {status['policy_hash']}: {', '.join(old) or 'no POP has reported'}"
    names = ", ".join(pop["pop"] for pop in status["pops"])
    return True, f"{', '.join(CATEGORIES)}; {status['policy_hash']} at {names}; pages take it from their POP"


def _mesh(operator: Operator) -> tuple[bool, str]:
    """A call without a certificate must fail in the handshake, and every place has an endorsed identity."""
    refused = asyncio.run(_without_certificate(operator.control_plane))
    places = [place["place"] for place in operator.get("/v1/attesters")["places"] if place["place"].startswith("edge/")]
    if not refused:
        return False, f"{operator.control_plane} answered a caller without a certificate"
    return bool(places), f"a caller without a certificate was refused; identities: {', '.join(places) or 'none'}"


async def _without_certificate(address: str) -> bool:
    """Whether the listener refuses who shows no certificate; its own is not judged here."""
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=TIMEOUT_S) as client:  # noqa: S501
            await client.get(f"{address}/v1/pops")
    except (httpx.HTTPError, ssl.SSLError):  # TLS 1.3 refuses after the handshake: the alert comes with the first read
        return True
    return False


def _learning(operator: Operator) -> tuple[bool, str]:
    """What a place spent is counted twice, there and here: an update beyond its budget is never accepted."""
    told = operator.get("/v1/rounds")
    second = sorted({pop for row in told["rounds"] for pop in row["conflicts"]})
    if second:
        return False, f"told two stories about one week: {', '.join(second)}"
    taken = sum(len(row["accepted"]) for row in told["rounds"])
    return True, f"{len(told['rounds'])} weeks, {taken} updates, each within the budget of its place (budget-exhausted)"


def _charts(admin: Sequence[str]) -> tuple[bool, str]:
    if not admin:
        return False, "name the POPs' admin listeners with --admin"
    missing = [f"{name} at {address}" for address in admin for name in CHARTED if name not in _metrics(address)]
    return (
        not missing,
        f"missing until a page has reported: {', '.join(missing)}"
        if missing
        else f"{', '.join(CHARTED)} at {len(admin)} POPs",
    )


def _metrics(address: str) -> str:
    try:
        return httpx.get(f"{address}/metrics", trust_env=False, timeout=TIMEOUT_S).text
    except httpx.HTTPError:
        return ""


def _requests(operator: Operator) -> tuple[bool, str]:
    requests = operator.get("/v1/dsar/requests")["requests"]
    took = sorted(one["closed_at"] - one["confirmed_at"] for one in requests if one["state"] == "fulfilled")
    late = [one["id"] for one in requests if one["closed_at"] is None and one["at"] > one["target_at"]]
    if late:
        return False, f"open beyond 24 h: {', '.join(late)}"
    if not took:
        return True, f"{len(requests)} requests, none open beyond 24 h"
    p95 = took[math.ceil(len(took) * 0.95) - 1]
    return p95 <= TARGET_S, f"{len(took)} fulfilled, P95 {p95} s; none open beyond 24 h"


def value(promises: Sequence[Promise]) -> list[dict[str, Any]]:
    """As `--json` prints them."""
    return [{"promise": one.name, "kept": one.kept, "shown_by": one.shown_by} for one in promises]
