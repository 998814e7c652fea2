"""The sync room of a worker: the lead follows the control plane, a worker what the lead has put in force.

Every question first compares the shared state's marks with those of the last answer. Where they differ, the worker
reads policy and keys again from what the lead keeps on disk. It asks the table itself for denials, by key. What the
worker cannot read closes: it is not in sync until it can. A worker fetches nothing; it asks the lead to. It forwards
its own visitors' withdrawals, so that a visitor who takes a part back waits for one process; the lead forwards what a
dead worker left.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError
from consent_core.formats.token import CATEGORIES, Key
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.policy import Bundle, Open
from runtime_host.pop.sync.sync import Sync

LOOK_EVERY_S = 0.05  # for visitors who were erased; everything else is looked at by the request that needs it
RETRY_S = 0.5  # after something could not be read
ASK_EVERY_S = 1.0  # the same thing of the lead, which has bounds of its own

Ask = Callable[[Mapping[str, Any]], None]  # sends a message to the lead; never waits


class LedSync(Sync):
    """As `Sync`, led by another process. `_marks`: what `_number` and everything taken over stand for.

    `_unread_since`: `elapsed` when something could last not be read, None while all could; `_rereads` counts the ends
    of that.
    """

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
        self._led_by = shared_state
        self._ask = ask
        self._marks = shared_state.marks()  # before anything is read
        self._number, self._rereads = shared_state.count(self._marks), 0
        self._unread_since: float | None = None
        self._asked: dict[str, float] = {}
        self._erased_at = shared_state.mark(Mark.ERASED)  # before the table is read
        self.on_erased: Callable[[int], None] = lambda _: None  # after listeners heard of all through this mark
        super().__init__(config, store, trust, client, clock, opener=opener)
        self._erased = set(store.revocations.erased)

    def in_sync(self) -> bool:
        """Whether the lead is, by the lead's own word, which ages here as it does there."""
        self._look()
        if self._unread_since is not None:
            return False
        sent, _, lacking_since = self._led_by.word()
        now, bound = self._clock.elapsed(), self.config.fresh_s
        return 0 < sent <= now < sent + bound and (not lacking_since or now < lacking_since + bound)

    @property
    def generation(self) -> int:
        """Rises with every change of denials, keys or policy by any process of this POP."""
        self._look()
        return self._number + self._rereads

    @property
    def policy(self) -> Bundle | None:
        """The policy in force."""
        self._look()
        return super().policy

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` or `unknown`."""
        self._look()
        return super().hash_status(policy_hash)

    def keys(self) -> tuple[Key, ...]:
        """The keys that may have signed a token."""
        self._look()
        return super().keys()

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later."""
        _, offset, _ = self._led_by.word()
        return max(self._clock.now(), int(offset + self._clock.elapsed()) if offset else 0)

    def request_sync(self) -> None:
        """A token names an unknown policy: have the lead fetch soon."""
        self._ask_lead("policy", {"kind": "want-policy"})

    def request_key(self, kid: str) -> bool:
        """A token names an unknown key: have the lead fetch the set soon; whether it was asked."""
        return self._ask_lead("key", {"kind": "want-key", "kid": kid})

    async def run(self) -> None:
        """Forward withdrawals, and see to the erased, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._outbox_task.run())
            group.create_task(self._watch_erased())

    def tell_erased(self) -> None:
        """Tell listeners of visitors who were erased since the last look. Raises: Unavailable."""
        mark = self._led_by.mark(Mark.ERASED)
        if mark == self._erased_at:
            return
        erased = self.store.revocations.erased
        new, now = sorted(erased - self._erased), self._clock.now()
        self._tell(tuple(Change(None, "purge", subject, CATEGORIES, 0, now) for subject in new))
        self._erased, self._erased_at = set(erased), mark
        self.on_erased(mark)

    @property
    def erased_at(self) -> int:
        """The mark of erasures through which listeners have heard."""
        return self._erased_at

    async def _watch_erased(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self.tell_erased()
            except ConsentEdgeError as error:
                self.count(error)

    def _look(self) -> None:
        marks = self._led_by.marks()
        if marks != self._marks or self._unread_since is not None:
            self._take_over(marks)

    def _take_over(self, marks: bytes) -> None:
        """Read again what changed. The marks were read before, so what changes meanwhile is read next time."""
        unread, now = self._unread_since, self._clock.elapsed()
        if unread is not None and marks == self._marks and now < unread + RETRY_S:
            return
        before, mark_in = self._marks, self._led_by.mark_in
        self._marks, self._number, self._unread_since = marks, self._led_by.count(marks), None
        try:
            if unread is not None or mark_in(marks, Mark.POLICY) != mark_in(before, Mark.POLICY):
                self._look_at_trust()
                self._policy.reload()
            if unread is not None or mark_in(marks, Mark.KEYS) != mark_in(before, Mark.KEYS):
                self._keys.reload()
            self._rereads += unread is not None
        except ConsentEdgeError as error:
            self._unread_since = now
            self.count(error)

    def _look_at_trust(self) -> None:
        """As at the lead, a trust file that cannot be read changes nothing."""
        if self.config.trust_file is not None:
            try:
                self._trusted.file = TrustFile.load(self.config.trust_file)
            except ConsentEdgeError as error:
                self.count(error)

    def _ask_lead(self, what: str, message: Mapping[str, Any]) -> bool:
        now = self._clock.elapsed()
        if now - self._asked.get(what, float("-inf")) < ASK_EVERY_S:
            return False
        self._asked[what] = now
        self._ask(message)
        return True
