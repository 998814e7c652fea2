"""What tokens make this POP fetch: a policy or a key that they name and it does not know.

    fetches = Fetches(config, clock, keys, policy_task, keys_task)
    awaited = AwaitedKeys(config.learn_s, fetches.request_key, trust_state.keys)
    await awaited.learn(kid)          # a visitor waits half a second at most
    awaited.look()                    # after the key set may have changed

Made-up names reach little: fetches keep a distance, and a visitor waits only for a key that a fetch is under way for.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from consent_core.clock import Clock
from consent_core.formats.token import Key
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.periodic import PeriodicTask

ASK_EVERY_S = 1.0  # the same thing of the lead, which has bounds of its own

Ask = Callable[[Mapping[str, Any]], None]  # sends a message to the lead; never waits


class Fetching(Protocol):
    """Who fetches, or asks another process to."""

    def request_sync(self) -> None:
        """A token names an unknown policy: have it fetched soon."""
        ...

    def request_key(self, kid: str) -> bool:
        """A token names an unknown key: have the key set fetched soon; whether it will be."""
        ...


class Fetches:
    """The requests of a process that fetches by itself: each wakes the task that fetches."""

    def __init__(
        self,
        config: SyncConfig,
        clock: Clock,
        keys: KeyFollower,
        policy_task: PeriodicTask,
        keys_task: PeriodicTask,
    ) -> None:
        self._every_s = config.wanted_s
        self._clock = clock
        self._keys = keys
        self._policy_task = policy_task
        self._keys_task = keys_task
        self._policy_wanted_at = float("-inf")

    def request_sync(self) -> None:
        """A token names an unknown policy: fetch soon, one at a time, not more often than `wanted_s`."""
        now = self._clock.elapsed()
        if now - self._policy_wanted_at >= self._every_s:
            self._policy_wanted_at = now
            self._policy_task.wake()

    def request_key(self, kid: str) -> bool:
        """A token names an unknown key: fetch the set soon, unless that was just tried; whether it will be."""
        wanted = self._keys.wanted(kid)
        if wanted:
            self._keys_task.wake()
        return wanted


class AskingLead:
    """What tokens make a worker ask of its lead. `_asked`: `elapsed` of the last time, by what."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._asked: dict[str, float] = {}

    def request_sync(self) -> None:
        """A token names an unknown policy: have the lead fetch soon."""
        self._send("policy", {"kind": "want-policy"})

    def request_key(self, kid: str) -> bool:
        """A token names an unknown key: have the lead fetch the set soon; whether it was asked."""
        return self._send("key", {"kind": "want-key", "kid": kid})

    def _send(self, what: str, message: Mapping[str, Any]) -> bool:
        now = self._clock.elapsed()
        if now - self._asked.get(what, float("-inf")) < ASK_EVERY_S:
            return False
        self._asked[what] = now
        self._ask(message)
        return True


class AwaitedKeys:
    """The keys that visitors wait for. `_awaited`: by key id, whether it came; the event loop's clock ends each wait.

    `request`: has a key fetched; whether it will be. `keys`: those that may have signed a token.
    """

    def __init__(self, within_s: float, request: Callable[[str], bool], keys: Callable[[], Sequence[Key]]) -> None:
        self._within_s = within_s
        self._request = request
        self._keys = keys
        self._awaited: dict[str, asyncio.Future[bool]] = {}

    async def learn(self, kid: str) -> bool:
        """Have a key fetched and wait for it until `within_s` after the first visitor asked; whether it came."""
        if self._request(kid):
            self._begin(kid)
        awaited = self._awaited.get(kid)
        return awaited is not None and await asyncio.shield(awaited)

    def look(self) -> None:
        """End the wait of everybody whose key is here."""
        if self._awaited:
            for kid in self._awaited.keys() & self._known():
                self._awaited.pop(kid).set_result(True)

    def _begin(self, kid: str) -> None:
        loop = asyncio.get_running_loop()
        awaited = self._awaited.setdefault(kid, loop.create_future())
        loop.call_later(self._within_s, self._end, kid, awaited)

    def _end(self, kid: str, awaited: "asyncio.Future[bool]") -> None:
        if self._awaited.get(kid) is awaited:
            del self._awaited[kid]
            awaited.set_result(kid in self._known())

    def _known(self) -> set[str]:
        return {key.kid for key in self._keys()}
