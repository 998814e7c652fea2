"""What requests ask of the sync room, in the process that follows the control plane. None of it waits but `learn_key`.

    state = FollowedTrustState(config, Followed(freshness, policy, keys), store.revocations, fetches)
    state.in_sync(), state.denied(subject, ver), state.policy, state.keys()

It implements `consent_core.decision.seams.TrustState` by what the followers last put in force. The same for a worker,
which follows nothing: `worker`.
"""

from dataclasses import dataclass

from consent_core.formats.token import Key
from runtime_host.pop.stores.revocations import Revocations
from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.freshness import Freshness
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.policy import Bundle, PolicyFollower
from runtime_host.pop.sync.wanted import AwaitedKeys, Fetching


@dataclass(frozen=True, slots=True)
class Followed:
    """What this process follows besides the log's entries, which are in the store."""

    freshness: Freshness
    policy: PolicyFollower
    keys: KeyFollower


class FollowedTrustState:
    """The trust state of a process with followers of its own."""

    def __init__(self, config: SyncConfig, followed: Followed, revocations: Revocations, fetching: Fetching) -> None:
        self._fresh_s = config.fresh_s
        self._freshness = followed.freshness
        self._policy = followed.policy
        self._keys = followed.keys
        self._revocations = revocations
        self._fetching = fetching
        self.awaited = AwaitedKeys(config.learn_s, fetching.request_key, self.keys)

    def in_sync(self) -> bool:
        """Whether the control plane answered a poll sent less than `fresh_s` ago, and its demanded policy came."""
        return self._freshness.fresh() and self._policy.lacking_for() < self._fresh_s

    @property
    def generation(self) -> int:
        """Rises with every change of denials, keys or policy."""
        return self._revocations.generation + self._policy.generation + self._keys.generation

    @property
    def policy(self) -> Bundle | None:
        """The policy in force."""
        return self._policy.active

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` or `unknown`."""
        return self._policy.hash_status(policy_hash)

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this subject and version has lost."""
        return self._revocations.denied(subject, ver)

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was itself taken back."""
        return self._revocations.text_denied(digest)

    def keys(self) -> tuple[Key, ...]:
        """The keys that may have signed a token."""
        return self._keys.keys()

    def key_revoked(self, kid: str) -> bool:
        """Whether the log took this key away."""
        return self._revocations.key_revoked(kid)

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later: expired stays expired."""
        return self._freshness.now()

    def request_sync(self) -> None:
        """A token names an unknown policy: fetch soon."""
        self._fetching.request_sync()

    async def learn_key(self, kid: str) -> bool:
        """A token names an unknown key: fetch the set and wait a moment for it; whether the key came."""
        return await self.awaited.learn(kid)
