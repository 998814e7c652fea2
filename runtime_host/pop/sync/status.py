"""How one POP stands towards its control plane, for `/readyz` and operators."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.decision.seams import TrustState
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.failures import Failures
from runtime_host.pop.sync.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """`age_s`: of the last good answer to this POP; `alarm`: see `judge`."""

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


def read_status(
    trust_state: TrustState,
    store: PopStore,
    outgoing: Outgoing,
    failures: Failures,
    *,
    age_s: float | None,
    policy_since: int | None,
    alarm: str | None,
) -> SyncStatus:
    """How this process stands now."""
    policy, (pending, _) = trust_state.policy, store.outbox.waiting()
    return SyncStatus(
        in_sync=trust_state.in_sync(),
        age_s=age_s,
        revocation_seq=store.log.position.position,
        policy_hash=None if policy is None else policy.hash,
        policy_revision=None if policy is None else policy.revision,
        policy_since=policy_since,
        alarm=alarm,
        untrusted=dict(failures.untrusted),
        unavailable=dict(failures.unavailable),
        outbox_pending=pending,
        outbox_oldest_s=outgoing.oldest_s(),
        outbox_refused=len(store.outbox.refused()),
    )
