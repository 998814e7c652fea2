"""The sync room of one POP as a whole: what requests may ask at any moment, and the periodic tasks behind it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import httpx

from consent_core import nats_hints
from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.status import PopStatus
from consent_core.formats.token import Key
from consent_core.policy.bundle import open_bundle
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.stores import Change, PopStore, Withdrawal
from runtime_host.pop.stores.followed_log import OWED
from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.stores.store import DeniedText
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.delivery import Deliverer
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.follower import COLLECTING, LogFollower, random_nonce
from runtime_host.pop.sync.forwarder import TIMEOUT_S, Forwarder
from runtime_host.pop.sync.freshness import Freshness
from runtime_host.pop.sync.judge import Judge
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.periodic import PeriodicTask
from runtime_host.pop.sync.policy import FILE, Bundle, Open, PolicyFollower
from runtime_host.pop.sync.push import listen
from runtime_host.pop.sync.reports import Reporter
from runtime_host.pop.sync.status import SyncStatus
from runtime_host.pop.sync.trusted import Trusted

Listener = Callable[[Change], None]
LOOK_EVERY_S = 0.01  # for a key that somebody waits for


class Sync:
    """One POP's link to the control plane.

    Args: opener: opens a policy bundle (default: `consent_core.policy`).  nonce: makes poll nonces.
          releases, audit_head, worker_heads: what status reports say of them, asked at each report.
          shared state: where the POP's other processes read what this one puts in force; None without any.
    State: everything lives on the event loop's thread; `untrusted` and `unavailable` count refusals by code.
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
        nonce: Callable[[], str] = random_nonce,
        releases: Callable[[], Mapping[str, str]] = dict,
        audit_head: Callable[[], str | None] = lambda: None,
        worker_heads: Callable[[], Mapping[str, str]] = dict,
        shared_state: SharedState | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.untrusted: Counter[str] = Counter()
        self.unavailable: Counter[str] = Counter()
        self.last_failure: ConsentEdgeError | None = None
        self._clock = clock
        self._client = client
        self._releases = releases
        self._audit_head = audit_head
        self._worker_heads = worker_heads
        self._shared_state = shared_state
        self._announced = (0, 0)
        self._listeners: list[Listener] = []
        revocations = store.revocations
        plane = ControlPlane(client, config.timeout_s)
        self._freshness = Freshness(clock, config.fresh_s)
        self._trusted = Trusted(trust, config.trust_file)
        judge = Judge(lambda: self._trusted.file, revocations.revoked_keys)
        self._log = LogFollower(store, judge, plane, self._freshness, clock, nonce)
        self._policy = PolicyFollower(config.home, store.policies, plane, clock, opener or self._open_bundle)
        self._keys = KeyFollower(
            config.home, trust.keys("token"), plane, clock, config.keys_wanted_s, revocations.key_revoked
        )
        self._forwarder = Forwarder(config.pop, store, ControlPlane(client, TIMEOUT_S))
        self._deliverer = Deliverer(config.pop, store, plane, config.home / FILE)
        self._reporter = Reporter(config.pop, store, plane, self._state)
        self._poll_task = self._task(self.poll, config.poll_s, "poll")
        self._policy_task = self._task(self.fetch_policy, config.bundle_s, "policy")
        self._keys_task = self._task(self.fetch_keys, config.keys_s, "keys")
        self._outbox_task = self._task(self._forwarder.forward, config.poll_s, "outbox")
        self._status_task = self._task(self._reporter.report, config.status_s, "status")
        self._trust_task = self._task(self.look_at_trust, config.poll_s, "trust")
        self._sweep_task = self._task(self.sweep, config.sweep_s, "sweep")
        self._policy_wanted_at = float("-inf")
        self._learning, self._learning_ends = "", 0.0
        self._load()

    # What requests ask. None of it waits.

    def in_sync(self) -> bool:
        """Whether the control plane answered a poll sent less than `fresh_s` ago, and its demanded policy came."""
        return self._freshness.fresh() and self._policy.lacking_for() < self.config.fresh_s

    @property
    def generation(self) -> int:
        """Rises with every change of denials, keys or policy."""
        return self.store.revocations.generation + self._policy.generation + self._keys.generation

    @property
    def alarm(self) -> str | None:
        """The code of what the log said that cannot be."""
        return self._log.alarm

    @property
    def policy(self) -> Bundle | None:
        """The policy in force."""
        return self._policy.active

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` or `unknown`."""
        return self._policy.hash_status(policy_hash)

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this subject and version has lost."""
        return self.store.revocations.denied(subject, ver)

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was itself taken back."""
        return self.store.revocations.text_denied(digest)

    def keys(self) -> tuple[Key, ...]:
        """The keys that may have signed a token."""
        return self._keys.keys()

    def key_revoked(self, kid: str) -> bool:
        """Whether the log took this key away."""
        return self.store.revocations.key_revoked(kid)

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later: expired stays expired."""
        return max(self._clock.now(), self._freshness.signed_now() or 0)

    # What requests cause.

    def request_sync(self) -> None:
        """A token names an unknown policy: fetch soon, one at a time, not more often than `wanted_s`."""
        now = self._clock.elapsed()
        if now - self._policy_wanted_at >= self.config.wanted_s:
            self._policy_wanted_at = now
            self._policy_task.wake()

    def request_key(self, kid: str) -> bool:
        """A token names an unknown key: fetch the set soon, unless that was just tried; whether it will be."""
        wanted = self._keys.wanted(kid)
        if wanted:
            self._keys_task.wake()
        return wanted

    async def learn_key(self, kid: str) -> bool:
        """The same, and wait a moment for it: a visitor whose token was signed by a new key gets what it allows.

        Only those wait who name the key that a fetch is under way for, so that made-up ids hold nobody up for long.
        """
        if self.request_key(kid):
            self._learning, self._learning_ends = kid, perf_counter() + self.config.learn_s
        while kid == self._learning and perf_counter() < self._learning_ends:
            await asyncio.sleep(LOOK_EVERY_S)
            if any(key.kid == kid for key in self.keys()):
                return True
        return False

    def withdraw(self, *withdrawals: Withdrawal, text: DeniedText | None = None) -> None:
        """Put a "no" in force here, durably, then see that it is forwarded. Raises: Unavailable("store-io")."""
        self._tell(self.store.withdraw(*withdrawals, text=text))
        self._outbox_task.wake()

    async def has_forwarded(self, withdrawals: Sequence[Withdrawal], within_s: float) -> bool:
        """See that the control plane hears of these; whether it has all of them by then."""
        awaited = [self._forwarder.ended(w) for w in withdrawals if self.store.outbox.is_pending(w)]
        if not awaited:
            return True
        self._forwarder.start()
        await asyncio.wait(awaited, timeout=within_s)
        return all(one.done() and one.exception() is None for one in awaited)

    async def tell_at_once(self, withdrawals: Sequence[Withdrawal]) -> bool:
        """Tell the control plane of what no disk here keeps; whether it took it all. Raises: Unavailable, Untrusted."""
        return all(isinstance(end, int) for _, end in await self._forwarder.tell(withdrawals))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change once it is in force; call what comes back to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def hint(self) -> None:
        """Somebody says there is news: poll now."""
        self._poll_task.wake()

    # The periodic tasks. Each may also be called directly, by whoever owns the time.

    async def run(self) -> None:
        """Follow the control plane until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self.config.push:
                group.create_task(self._listen())
            for task in (
                self._poll_task,
                self._policy_task,
                self._keys_task,
                self._outbox_task,
                self._status_task,
                self._trust_task,
                self._sweep_task,
            ):
                group.create_task(task.run())

    async def _listen(self) -> None:
        """Hear hints: of the control plane's own stream, or of NATS where that is named."""
        config = self.config
        if config.push_url is not None:
            return await nats_hints.listen(config.push_url, self.hint, self.count)
        return await listen(self._client, self.hint, config.timeout_s, config.push_silence_s)

    async def poll(self) -> tuple[Change, ...]:
        """Ask the log and apply what is new. Raises: Untrusted, Unavailable."""
        try:
            changes = await self._follow_log()
            self._tell(changes)
            lacking = self._policy.lacking()
        finally:
            self._announce()
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
            self.count(error)
        self._outbox_task.wake()

    def _judge_policy(self) -> None:
        """A key or the trust changed: the bundle in force is judged again, and is out of force if it fails."""
        try:
            self._policy.judge()
        except ConsentEdgeError as error:
            self.count(error)
            self._policy_task.wake()
        self._announce()

    async def fetch_policy(self) -> bool:
        """Ask for a newer policy. Raises: Untrusted, Unavailable."""
        try:
            new = await self._policy.fetch()
        finally:
            self._announce()
        if new:
            self._status_task.wake()
        return new

    async def fetch_keys(self) -> None:
        """Ask for the token keys. Raises: Untrusted, Unavailable."""
        try:
            await self._keys.fetch()
        finally:
            self._announce()

    async def forward(self) -> int:
        """Forward withdrawals; how many ended. Raises: Untrusted, Unavailable."""
        return await self._forwarder.forward()

    async def report(self) -> None:
        """Send a status report. Raises: Unavailable."""
        await self._reporter.report()

    def trust(self) -> TrustFile:
        """Whom this POP trusts now."""
        return self._trusted.file

    async def look_at_trust(self) -> None:
        """Take over a trust file that was replaced, and ask again for what it may make believable."""
        if await self._trusted.look():
            self._judge_policy()
            self._poll_task.wake()
            self._policy_task.wake()

    def report_soon(self) -> None:
        """There is something new to report, a receipt say."""
        self._status_task.wake()

    async def sweep(self) -> None:
        """Delete what ran out."""
        self.store.sweep(self._freshness.signed_now())

    def status(self) -> SyncStatus:
        """How this POP stands."""
        policy, (pending, _) = self._policy.active, self.store.outbox.waiting()
        return SyncStatus(
            in_sync=self.in_sync(),
            age_s=self._freshness.age(),
            revocation_seq=self.store.log.position.position,
            policy_hash=None if policy is None else policy.hash,
            policy_revision=None if policy is None else policy.revision,
            policy_since=self._policy.since,
            alarm=self.alarm,
            untrusted=dict(self.untrusted),
            unavailable=dict(self.unavailable),
            outbox_pending=pending,
            outbox_oldest_s=self.outbox_oldest_s(),
            outbox_refused=len(self.store.outbox.refused()),
        )

    def outbox_oldest_s(self) -> int:
        """How long the oldest "no" has waited for the control plane."""
        _, oldest = self.store.outbox.waiting()
        return 0 if oldest is None else max(0, self._clock.now() - oldest)

    def clock_off(self) -> int:
        """By how many seconds this wall clock is ahead of the control plane's signed time; 0 where none is known."""
        signed = self._freshness.signed_now()
        return 0 if signed is None else self._clock.now() - signed

    def count(self, error: ConsentEdgeError) -> None:
        """Count a failure under its family and code."""
        self.last_failure = error
        (self.untrusted if isinstance(error, Untrusted) else self.unavailable)[error.code] += 1

    def _load(self) -> None:
        try:
            self._policy.load()
        except Untrusted as error:
            self.count(error)
        self._policy.lacking()
        self._announce()

    def _announce(self) -> None:
        """Let the POP's other processes see what is in force here. Nothing is awaited between the two."""
        if self._shared_state is None:
            return
        freshness = self._freshness
        self._shared_state.tell(freshness.sent, freshness.signed_offset, self._policy.lacking_since)
        here = self._policy.generation, self._keys.generation
        for mark, before, now in zip((Mark.POLICY, Mark.KEYS), self._announced, here, strict=True):
            if before != now:
                self._shared_state.announce(mark)
        self._announced = here

    def _task(self, action: Callable[[], Any], every_s: float, name: str) -> PeriodicTask:
        return PeriodicTask(action, every_s, min(self.config.retry_s, every_s), self.count, f"{self.config.pop}/{name}")

    def _tell(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            for listener in tuple(self._listeners):
                listener(change)

    def _state(self) -> PopStatus:
        policy = self._policy.active
        return PopStatus(
            policy_hash=None if policy is None else policy.hash,
            revocation_seq=self.store.log.position.position,
            releases=self._releases(),
            audit_head=self._audit_head(),
            untrusted=dict(self.untrusted),
            worker_heads=self._worker_heads(),
            outbox_oldest_s=self.outbox_oldest_s(),
        )

    def _open_bundle(self, data: bytes, min_revision: int, known: str | None) -> Bundle:
        revoked = self.store.revocations.revoked_keys()
        return open_bundle(data, self._trusted.file, self.now(), revoked, min_revision=min_revision, current_hash=known)
