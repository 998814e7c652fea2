"""Puts the attesting of one POP together: its key, its chain, its searches and its way to the control plane."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from consent_core.clock import Clock
from consent_core.decision.seams import TrustState
from consent_core.errors import ConsentEdgeError
from consent_core.formats.attestation import PolicyInForce
from consent_core.trust.providers import KeyProvider
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.evidence.attesting import Attester, State
from runtime_host.pop.evidence.deleting import Deleter
from runtime_host.pop.evidence.gathering import EVERY_S, Gatherer
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.evidence.searching import Searcher
from runtime_host.pop.evidence.seeing import Seeing
from runtime_host.pop.evidence.sending import Sending
from runtime_host.pop.evidence.task import EvidenceTask
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.periodic import PeriodicTask

TIMEOUT_S = 5.0  # for one request of this task


@dataclass(frozen=True, slots=True)
class AttestingParts:
    """What attesting needs besides the POP. components: digest by name. trails: the folder of the audit trails.

    provider: opens the trails for searches.
    """

    spiffe_id: str
    components: Mapping[str, str]
    trails: Path
    provider: KeyProvider


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The POP around it. heads: of its trails, now. refresh: asks workers for theirs. failed: counts."""

    home: Path
    store: PopStore
    trust_state: TrustState
    clock: Clock
    client: httpx.AsyncClient
    trust: Callable[[], TrustFile]
    heads: Callable[[], Mapping[str, str]]
    refresh: Callable[[], Awaitable[None]]
    failed: Callable[[ConsentEdgeError], None]


def assemble(parts: AttestingParts, pop: Surroundings, every_s: int) -> EvidenceTask:
    """The task that attests a POP. Raises: ValueError for a damaged key file."""

    def state() -> State:
        return State(_policy(pop), pop.trust_state.in_sync(), parts.components, {}, pop.heads())

    attester = Attester(parts.spiffe_id, AttesterKey.open(pop.home), pop.store, pop.clock, state, every_s)
    control_plane = ControlPlane(pop.client, TIMEOUT_S)
    searcher = Searcher(attester, pop.store, pop.clock, parts.trails, parts.provider)
    deleter = Deleter(attester, pop.store, pop.clock)
    sending = Sending(attester, pop.store, control_plane, pop.home)
    seeing = Seeing(control_plane, pop.trust)
    return EvidenceTask(attester, sending, seeing, (searcher, deleter), pop.refresh, pop.failed)


def gather(
    parts: AttestingParts,
    pop: str,
    client: httpx.AsyncClient,
    store: PopStore,
    failed: Callable[[ConsentEdgeError], None],
) -> PeriodicTask:
    """The task that answers people who ask what a POP holds of them."""
    gatherer = Gatherer(pop, ControlPlane(client, TIMEOUT_S), store, parts.trails, parts.provider)
    return PeriodicTask(gatherer.look, EVERY_S, EVERY_S, failed, pop)


def _policy(pop: Surroundings) -> PolicyInForce | None:
    policy = pop.trust_state.policy
    known = pop.store.policies.newest()
    if policy is None:
        return None
    since = known.since if known is not None and known.hash == policy.hash else pop.trust_state.now()
    return PolicyInForce(policy.hash, policy.revision, since)
