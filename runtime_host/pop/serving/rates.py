"""How often one client may begin something: a new visitor, a yes, a stream, a report. A "no" and
rights requests have no rate.

    rates.check("203.0.113.7", Rate.VISITOR)      # Raises: Rejected("client-rate", 429) with the seconds to wait

A token bucket as the generic cell rate algorithm keeps it: one number a client and rate, the time at which its bucket
is full again. `LruCache` bounds how many there are; a client that is forgotten has a full bucket. Generous, because a
carrier's NAT puts thousands of visitors behind one address. Each worker counts for itself.
Source: ITU-T I.371, annex A.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import ceil

from consent_core.errors import Rejected
from runtime_host.pop.serving.lru import LruCache

MAX_CLIENTS = 50_000  # about 150 bytes each and rate
STREAM_SHARE = 4  # one client has at most this part of a worker's streams


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many at once, then so many a second."""

    burst: int
    per_s: float


class Rate(Enum):
    """What is limited."""

    VISITOR = "visitor"  # a yes without a session, which makes a row here and at the control plane
    GRANT = "grant"
    STREAM = "stream"
    REPORT = "report"  # what a page measured, or what a visitor did


BUCKETS = {
    Rate.VISITOR: Bucket(300, 5.0),
    Rate.GRANT: Bucket(600, 10.0),
    Rate.STREAM: Bucket(600, 10.0),
    Rate.REPORT: Bucket(600, 10.0),
}


class Rates:
    """The buckets of one process. `elapsed`: seconds that never go back."""

    def __init__(self, elapsed: Callable[[], float], clients: int = MAX_CLIENTS) -> None:
        self._elapsed = elapsed
        self._full_at: dict[Rate, LruCache[str, float]] = {rate: LruCache(clients) for rate in Rate}

    def __len__(self) -> int:
        return sum(len(known) for known in self._full_at.values())

    def check(self, client: str | None, rate: Rate) -> None:
        """Take one from a client's bucket; None is not limited. Raises: Rejected("client-rate", 429)."""
        if client is None:
            return
        bucket, known, now = BUCKETS[rate], self._full_at[rate], self._elapsed()
        full_at = max(now, known.get(client) or now) + 1 / bucket.per_s
        wait = full_at - now - bucket.burst / bucket.per_s
        if wait > 1e-9:  # as far as the clock's numbers are exact
            refusal = Rejected("client-rate", f"one address, too many requests to begin a {rate.value}", status=429)
            refusal.retry_after_s = max(1, ceil(wait))
            raise refusal
        known.put(client, full_at)
