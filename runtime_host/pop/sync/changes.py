"""The changes that come into force at this process, told to the parts of the POP that asked for them."""

from collections.abc import Callable, Iterable

from runtime_host.pop.stores import Change

Listener = Callable[[Change], None]


class Changes:
    """Listeners, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change once it is in force; call what comes back to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell every listener of each change."""
        for change in changes:
            for listener in tuple(self._listeners):
                listener(change)
