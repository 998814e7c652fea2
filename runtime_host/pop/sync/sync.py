"""The link of one POP to its control plane: what is fetched, what is told, and when.

What requests ask is `trust_state`; what visitors take back is `outgoing`. This class moves both along.
"""

import asyncio

import httpx

from consent_core import nats_hints
from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.status import PopStatus
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.stores.followed_log import OWED
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.sync.announcing import Announcer
from runtime_host.pop.sync.changes import Changes
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.delivery import Deliverer
from runtime_host.pop.sync.failures import Failures
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.follower import COLLECTING, LogFollower
from runtime_host.pop.sync.freshness import Freshness
from runtime_host.pop.sync.judge import Judge
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.outgoing import Outgoing
from runtime_host.pop.sync.periodic import periodic
from runtime_host.pop.sync.policy import FILE, Open, PolicyFollower, bundle_opener
from runtime_host.pop.sync.push import listen
from runtime_host.pop.sync.reports import Reporter, Trails
from runtime_host.pop.sync.status import SyncStatus, read_status
from runtime_host.pop.sync.trust_state import Followed, FollowedTrustState
from runtime_host.pop.sync.trusted import Trusted
from runtime_host.pop.sync.wanted import Fetches


class Sync:
    """Follows the control plane for one POP.

    Args: opener: opens a policy bundle (default: `consent_core.policy`).  trails: what status reports say of them.
          shared_state: where the POP's other processes read what this one puts in force; None without any.
    State: everything lives on the event loop's thread.
    """

    def __init__(
        self,
        config: SyncConfig,
        store: PopStore,
        trust: TrustFile,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        opener: Open | None = None,
        trails: Trails | None = None,
        shared_state: SharedState | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.failures = Failures()
        self.changes = Changes()
        self._client = client
        self._trails = trails or Trails()
        self._trusted = Trusted(trust, config.trust_file)
        plane, revocations = ControlPlane(client, config.timeout_s), store.revocations
        self._freshness = Freshness(clock, config.fresh_s)
        opener = opener or bundle_opener(self._trusted, self._freshness.now, revocations.revoked_keys)
        self._policy = PolicyFollower(config.home, store.policies, plane, clock, opener)
        self._keys = KeyFollower(
            config.home, trust.keys("token"), plane, clock, config.keys_wanted_s, revocations.key_revoked
        )
        judge = Judge(self.trust, revocations.revoked_keys)
        self._log = LogFollower(store, judge, plane, self._freshness, clock)
        self._deliverer = Deliverer(config.pop, store, plane, config.home / FILE)
        self._reporter = Reporter(config.pop, store, plane, self._state)
        self.outgoing = Outgoing(config, store, client, clock, self.changes, self.failures)
        self._make_tasks()
        self.fetches = Fetches(config, clock, self._keys, self._policy_task, self._keys_task)
        followed = Followed(self._freshness, self._policy, self._keys)
        self.trust_state = FollowedTrustState(config, followed, revocations, self.fetches)
        self._announcer = Announcer(shared_state, followed)
        self._load()

    def _make_tasks(self) -> None:
        config, failures = self.config, self.failures
        self._poll_task = periodic(config, failures, self.poll, config.poll_s, "poll")
        self._policy_task = periodic(config, failures, self.fetch_policy, config.bundle_s, "policy")
        self._keys_task = periodic(config, failures, self.fetch_keys, config.keys_s, "keys")
        self._status_task = periodic(config, failures, self.report, config.status_s, "status")
        self._trust_task = periodic(config, failures, self.look_at_trust, config.poll_s, "trust")
        self._sweep_task = periodic(config, failures, self.sweep, config.sweep_s, "sweep")

    def _load(self) -> None:
        """Put in force what the disk holds. What is refused is counted, and fetched later."""
        try:
            self._policy.load()
        except Untrusted as error:
            self.failures.count(error)
        self._policy.lacking()
        self._announcer.announce()

    def hint(self) -> None:
        """Somebody says there is news: poll now."""
        self._poll_task.wake()

    def report_soon(self) -> None:
        """There is something new to report, a receipt say."""
        self._status_task.wake()

    def trust(self) -> TrustFile:
        """Whom this POP trusts now."""
        return self._trusted.file

    @property
    def alarm(self) -> str | None:
        """The code of what the log said that cannot be."""
        return self._log.alarm

    def clock_off(self) -> int:
        """By how many seconds this wall clock is ahead of the control plane's signed time; 0 where none is known."""
        return self._freshness.clock_off()

    def status(self) -> SyncStatus:
        """How this POP stands."""
        return read_status(
            self.trust_state, self.store, self.outgoing, self.failures,
            age_s=self._freshness.age(), policy_since=self._policy.since, alarm=self.alarm,
        )  # fmt: skip

    # The periodic tasks. A test or a simulation that owns the time calls each of them directly.

    async def run(self) -> None:
        """Follow the control plane until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self.config.push:
                group.create_task(self._listen())
            for task in (
                self._poll_task,
                self._policy_task,
                self._keys_task,
                self.outgoing.task,
                self._status_task,
                self._trust_task,
                self._sweep_task,
            ):
                group.create_task(task.run())

    async def _listen(self) -> None:
        """Hear hints: of the control plane's own stream, or of NATS where that is named."""
        config = self.config
        if config.push_url is not None:
            return await nats_hints.listen(config.push_url, self.hint, self.failures.count)
        return await listen(self._client, self.hint, config.timeout_s, config.push_silence_s)

    async def poll(self) -> tuple[Change, ...]:
        """Ask the log and apply what is new. Raises: Untrusted, Unavailable."""
        try:
            changes = await self._follow_log()
            self.changes.publish(changes)
            lacking = self._policy.lacking()
        finally:
            self._announcer.announce()
        if any(change.kind == "key" for change in changes):
            self._keys_task.wake()
            self._judge_policy()
        if lacking:
            self._policy_task.wake()
        if changes:
            self._status_task.wake()
        return changes

    async def _follow_log(self) -> tuple[Change, ...]:
        """Poll; deliver what is kept if a restored control plane asks, or an operator accepted another log."""
        try:
            changes = await self._log.poll()
        except Unavailable as error:
            if error.code == COLLECTING and self._log.collecting is not None:
                await self._deliver(self._log.collecting)
            raise
        origin = self.store.log.position.origin
        if self.store.log.delivered == OWED and origin is not None:
            await self._deliver(origin)
        return changes

    async def _deliver(self, origin: str) -> None:
        try:
            await self._deliverer.deliver(origin)
        except ConsentEdgeError as error:  # asked for, or owed, again at the next poll
            self.failures.count(error)
        self.outgoing.task.wake()

    def _judge_policy(self) -> None:
        """A key or the trust changed: the bundle in force is judged again, and is out of force if it fails."""
        try:
            self._policy.judge()
        except ConsentEdgeError as error:
            self.failures.count(error)
            self._policy_task.wake()
        self._announcer.announce()

    async def fetch_policy(self) -> bool:
        """Ask for a newer policy. Raises: Untrusted, Unavailable."""
        try:
            new = await self._policy.fetch()
        finally:
            self._announcer.announce()
        if new:
            self._status_task.wake()
        return new

    async def fetch_keys(self) -> None:
        """Ask for the token keys. Raises: Untrusted, Unavailable."""
        try:
            await self._keys.fetch()
        finally:
            self._announcer.announce()
        self.trust_state.awaited.look()

    async def report(self) -> None:
        """Send a status report. Raises: Unavailable."""
        await self._reporter.report()

    async def look_at_trust(self) -> None:
        """Take over a trust file that was replaced, and ask again for what it may make believable."""
        if await self._trusted.look():
            self._judge_policy()
            self._poll_task.wake()
            self._policy_task.wake()

    async def sweep(self) -> None:
        """Delete what ran out."""
        before = self._freshness.signed_now()
        await self.store.database.writer.run(lambda: self.store.sweep(before), alone=True)

    def _state(self) -> PopStatus:
        policy = self._policy.active
        return PopStatus(
            policy_hash=None if policy is None else policy.hash,
            revocation_seq=self.store.log.position.position,
            audit_head=self._trails.own(),
            untrusted=dict(self.failures.untrusted),
            worker_heads=self._trails.others(),
            outbox_oldest_s=self.outgoing.oldest_s(),
        )
