"""Tells the POP's other processes what the lead has put in force, over the shared memory."""

from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.sync.trust_state import Followed


class Announcer:
    """The lead's announcements; none in a POP of one process. `_announced`: generations of policy and keys."""

    def __init__(self, shared_state: SharedState | None, followed: Followed) -> None:
        self._shared_state = shared_state
        self._followed = followed
        self._announced = (0, 0)

    def announce(self) -> None:
        """Say how fresh the lead is, and which policy and keys are new. Nothing is awaited between the two."""
        if self._shared_state is None:
            return
        freshness, policy, keys = self._followed.freshness, self._followed.policy, self._followed.keys
        self._shared_state.tell(freshness.sent, freshness.signed_offset, policy.lacking_since)
        here = policy.generation, keys.generation
        for mark, before, now in zip((Mark.POLICY, Mark.KEYS), self._announced, here, strict=True):
            if before != now:
                self._shared_state.announce(mark)
        self._announced = here
