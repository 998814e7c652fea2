"""What a worker reads again once its lead has put something else on disk.

    taking_over = TakingOver(shared_state, marks, Files(policy, keys, trusted), clock, failures)
    taking_over.look()          # True: policy and keys are those that the lead has in force

A look compares the shared state's marks with those of the last look. Where the marks of the policy or the keys differ,
the file is read again. What the worker cannot read closes: `look` says no until everything could be read.
"""

from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError
from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.sync.failures import Failures
from runtime_host.pop.sync.keys import KeyFollower
from runtime_host.pop.sync.policy import PolicyFollower
from runtime_host.pop.sync.trusted import Trusted

RETRY_S = 0.5  # after something could not be read


@dataclass(frozen=True, slots=True)
class Files:
    """What the lead keeps on disk: the policy, the token keys, the trust file."""

    policy: PolicyFollower
    keys: KeyFollower
    trusted: Trusted


class TakingOver:
    """A worker's copy of what its lead has in force. `_marks`: those under which it was read, `_number` their sum.

    `_unread_since`: `elapsed` when something could last not be read, None while all could; `_rereads` counts the ends
    of that.
    """

    def __init__(self, shared_state: SharedState, marks: bytes, files: Files, clock: Clock, failures: Failures) -> None:
        self._shared_state = shared_state
        self.files = files
        self._clock = clock
        self._failures = failures
        self._marks = marks
        self._number, self._rereads = shared_state.count(marks), 0
        self._unread_since: float | None = None

    def look(self) -> bool:
        """Read again what the lead changed; whether everything could be read."""
        marks = self._shared_state.marks()
        if marks != self._marks or self._unread_since is not None:
            self._take_over(marks)
        return self._unread_since is None

    @property
    def generation(self) -> int:
        """Rises with every change that any process of this POP announced, and when what was unreadable was read."""
        self.look()
        return self._number + self._rereads

    def _take_over(self, marks: bytes) -> None:
        """Read again what changed. The marks were read before, so what changes meanwhile is read next time."""
        unread, now = self._unread_since, self._clock.elapsed()
        if unread is not None and marks == self._marks and now < unread + RETRY_S:
            return
        before, mark_in = self._marks, self._shared_state.mark_in
        self._marks, self._number, self._unread_since = marks, self._shared_state.count(marks), None
        try:
            if unread is not None or mark_in(marks, Mark.POLICY) != mark_in(before, Mark.POLICY):
                self._look_at_trust()
                self.files.policy.reload()
            if unread is not None or mark_in(marks, Mark.KEYS) != mark_in(before, Mark.KEYS):
                self.files.keys.reload()
            self._rereads += unread is not None
        except ConsentEdgeError as error:
            self._unread_since = now
            self._failures.count(error)

    def _look_at_trust(self) -> None:
        """As at the lead, a trust file that cannot be read changes nothing."""
        try:
            self.files.trusted.reload()
        except ConsentEdgeError as error:
            self._failures.count(error)
