"""Visitors whom another process of the POP erased, told to the parts of this worker that remember them."""

from collections.abc import Callable

from consent_core.clock import Clock
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.stores.shared_state import Mark, SharedState
from runtime_host.pop.sync.changes import Changes


class ErasedVisitors:
    """Tells this worker's listeners of visitors whom any process of the POP erased.

    `on_through`: called with each mark of erasures once listeners have heard of all through it.
    """

    def __init__(self, shared_state: SharedState, store: PopStore, clock: Clock, changes: Changes) -> None:
        self._shared_state = shared_state
        self._store = store
        self._clock = clock
        self._changes = changes
        self.through = shared_state.mark(Mark.ERASED)  # before the table is read
        self._erased = set(store.revocations.erased)
        self.on_through: Callable[[int], None] = lambda _: None

    def tell(self) -> None:
        """Tell listeners of visitors who were erased since the last look. Raises: Unavailable."""
        mark = self._shared_state.mark(Mark.ERASED)
        if mark == self.through:
            return
        erased = self._store.revocations.erased
        new, now = sorted(erased - self._erased), self._clock.now()
        self._changes.publish(Change(None, "purge", subject, CATEGORIES, 0, now) for subject in new)
        self._erased, self.through = set(erased), mark
        self.on_through(mark)
