"""What requests ask of the sync room in a worker: what the lead has in force, at the moment of the question.

The lead's word (how fresh it is, the control plane's time) is read from shared memory at each question, policy and keys
are read again when the lead announced others (`taking_over`), and denials are looked up in the table.
"""

from consent_core.clock import Clock
from consent_core.formats.token import Key
from runtime_host.pop.stores.revocations import Revocations
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.sync.policy import Bundle
from runtime_host.pop.sync.taking_over import TakingOver
from runtime_host.pop.sync.wanted import AwaitedKeys, Fetching


class LeadsWord:
    """How the lead stands with the control plane, by its own word, which ages here as it does there."""

    def __init__(self, shared_state: SharedState, clock: Clock, fresh_s: float) -> None:
        self._shared_state = shared_state
        self._clock = clock
        self._fresh_s = fresh_s

    def in_sync(self) -> bool:
        """Whether the lead's last good poll and its demanded policy are young enough."""
        sent, _, lacking_since = self._shared_state.word()
        now, bound = self._clock.elapsed(), self._fresh_s
        return 0 < sent <= now < sent + bound and (not lacking_since or now < lacking_since + bound)

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later."""
        _, offset, _ = self._shared_state.word()
        return max(self._clock.now(), int(offset + self._clock.elapsed()) if offset else 0)

    def age(self) -> float | None:
        """Seconds since the lead's last good poll was sent."""
        sent, _, _ = self._shared_state.word()
        return self._clock.elapsed() - sent if sent else None


class SharedTrustState:
    """The trust state of a worker: as `FollowedTrustState`, by what the lead announced."""

    def __init__(
        self, word: LeadsWord, taking_over: TakingOver, revocations: Revocations, asking: Fetching, learn_s: float
    ) -> None:
        self._word = word
        self._taking_over = taking_over
        self._policy = taking_over.files.policy
        self._keys = taking_over.files.keys
        self._revocations = revocations
        self._asking = asking
        self.awaited = AwaitedKeys(learn_s, asking.request_key, self.keys)

    def in_sync(self) -> bool:
        """Whether the lead is, and everything that it announced could be read here."""
        return self._taking_over.look() and self._word.in_sync()

    @property
    def generation(self) -> int:
        """Rises with every change of denials, keys or policy by any process of this POP."""
        return self._taking_over.generation

    @property
    def policy(self) -> Bundle | None:
        """The policy in force."""
        self._taking_over.look()
        return self._policy.active

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` or `unknown`."""
        self._taking_over.look()
        return self._policy.hash_status(policy_hash)

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that a token of this subject and version has lost. Raises: Unavailable("store-io")."""
        return self._revocations.denied(subject, ver)

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was itself taken back. Raises: Unavailable("store-io")."""
        return self._revocations.text_denied(digest)

    def keys(self) -> tuple[Key, ...]:
        """The keys that may have signed a token."""
        self._taking_over.look()
        return self._keys.keys()

    def key_revoked(self, kid: str) -> bool:
        """Whether the log took this key away. Raises: Unavailable("store-io")."""
        return self._revocations.key_revoked(kid)

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later."""
        return self._word.now()

    def request_sync(self) -> None:
        """A token names an unknown policy: have the lead fetch soon."""
        self._asking.request_sync()

    async def learn_key(self, kid: str) -> bool:
        """A token names an unknown key: have the lead fetch the set and wait a moment for it; whether the key came."""
        return await self.awaited.learn(kid)
