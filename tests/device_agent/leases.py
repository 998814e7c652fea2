"""Leases for tests."""

from dataclasses import replace
from typing import Any

from consent_core.formats.lease import Lease

NOW = 1_800_000_000
NONCE = "n" * 22
SHARE = b"s" * 32

GOOD = Lease(
    device="kiosk-1",
    subject="a" * 64,
    ver=3,
    categories=("contextual", "behavioral"),
    erased=False,
    releases={"model-v20270118.1": "sha256:" + "1" * 64},
    policy_hash="sha256:" + "2" * 64,
    at=NOW,
    nonce=NONCE,
    poll_s=60,
    decide_until=NOW + 86_400,
    delete_at=NOW + 86_400,
)


def lease(**changes: Any) -> Lease:
    """The good one with changes; `at` moves its ends along."""
    moved = changes.get("at", NOW) - NOW
    ends = {"decide_until": GOOD.decide_until + moved, "delete_at": GOOD.delete_at + moved}
    return replace(GOOD, **{**ends, **changes})
