"""The sync room of a worker: the lead follows the control plane, a worker what the lead has put in force.

Every question first looks at what the lead announced (`taking_over`). The worker asks the table itself for denials, by
key. A worker fetches nothing; it asks the lead to. It forwards its own visitors' withdrawals, so that a visitor who
takes a part back waits for one process; the lead forwards what a dead worker left.
"""

import asyncio

import httpx

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.sync.changes import Changes
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.erased import ErasedVisitors
from runtime_host.pop.sync.failures import Failures
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.outgoing import Outgoing
from runtime_host.pop.sync.policy import Open, PolicyFollower, bundle_opener
from runtime_host.pop.sync.shared_trust_state import LeadsWord, SharedTrustState
from runtime_host.pop.sync.status import SyncStatus, read_status
from runtime_host.pop.sync.taking_over import Files, TakingOver
from runtime_host.pop.sync.trusted import Trusted
from runtime_host.pop.sync.wanted import Ask, AskingLead

LOOK_EVERY_S = 0.05  # for visitors who were erased and for awaited keys; a request looks at everything else it needs


class WorkerSync:
    """A worker's counterpart of `Sync`."""

    def __init__(
        self,
        config: SyncConfig,
        store: PopStore,
        trust: TrustFile,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        shared_state: SharedState,
        ask: Ask,
        opener: Open | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.shared_state = shared_state
        self.failures = Failures()
        self.changes = Changes()
        self.erased = ErasedVisitors(shared_state, store, clock, self.changes)
        self.outgoing = Outgoing(config, store, client, clock, self.changes, self.failures)
        self.fetches = AskingLead(ask, clock)
        self._word = LeadsWord(shared_state, clock, config.fresh_s)
        self._trusted = Trusted(trust, config.trust_file)
        marks = shared_state.marks()  # before anything is read
        files = self._read(trust, ControlPlane(client, config.timeout_s), clock, opener)
        taking_over = TakingOver(shared_state, marks, files, clock, self.failures)
        self._policy = files.policy
        self.trust_state = SharedTrustState(self._word, taking_over, store.revocations, self.fetches, config.learn_s)

    def _read(self, trust: TrustFile, plane: ControlPlane, clock: Clock, opener: Open | None) -> Files:
        config, revocations = self.config, self.store.revocations
        opener = opener or bundle_opener(self._trusted, self._word.now, revocations.revoked_keys)
        policy = PolicyFollower(config.home, self.store.policies, plane, clock, opener)
        keys = KeyFollower(
            config.home, trust.keys("token"), plane, clock, config.keys_wanted_s, revocations.key_revoked
        )
        try:
            policy.load()
        except Untrusted as error:
            self.failures.count(error)
        return Files(policy, keys, self._trusted)

    def hint(self) -> None:
        """Do nothing: the lead polls."""

    def trust(self) -> TrustFile:
        """Whom this POP trusts now."""
        return self._trusted.file

    def status(self) -> SyncStatus:
        """How this worker stands."""
        return read_status(
            self.trust_state, self.store, self.outgoing, self.failures,
            age_s=self._word.age(), policy_since=self._policy.since, alarm=self.store.log.position.alarm,
        )  # fmt: skip

    async def run(self) -> None:
        """Forward withdrawals, and see to the erased and to awaited keys, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outgoing.task.run())
            group.create_task(self._watch())

    async def look_at_trust(self) -> None:
        """Take over a trust file that was replaced, and judge the policy in force by it."""
        if await self._trusted.look():
            try:
                self._policy.judge()
            except ConsentEdgeError as error:
                self.failures.count(error)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.trust_state.awaited.look()
            try:
                self.erased.tell()
            except ConsentEdgeError as error:
                self.failures.count(error)
