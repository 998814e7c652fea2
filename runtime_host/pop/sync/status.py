"""How one POP stands with the control plane, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """How this POP stands, for `/readyz` and operators. `age_s`: of the last good answer; `alarm`: see `judge`."""

    in_sync: bool
    age_s: float | None
    revocation_seq: int
    policy_hash: str | None
    policy_revision: int | None
    policy_since: int | None
    alarm: str | None
    untrusted: Mapping[str, int]
    unavailable: Mapping[str, int]
    outbox_pending: int
    outbox_oldest_s: int  # how long the oldest "no" has waited for the control plane; 0 if none does
    outbox_refused: int
