"""A bounded memory of values that can be made again, cheap enough to be asked several times per request.

Two generations of plain dictionaries stand in for a list of uses: what is used moves to the young one; when that is
full it becomes the old one, and what was not used meanwhile goes. At most `entries` values are held. A hit costs one
look-up, where a list ordered by use costs two and a relinking.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Values by key; the ones not used for longest go first, a generation at a time. One thread at a time."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, entries: int) -> None:
        if entries < 2:
            raise ValueError("entries: expected at least 2")
        self._half = entries // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def get(self, key: K) -> V | None:
        """The value, if it is still here."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> V:
        """Keep a value and hand it back."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value
        return value

    def drop(self, key: K) -> None:
        """Forget one value."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def count_if(self, wanted: Callable[[V], bool]) -> int:
        """How many values are wanted, those included that a later one of the same key hides."""
        return sum(wanted(value) for kept in (self._young, self._old) for value in kept.values())

    def drop_if(self, unwanted: Callable[[V], bool]) -> int:
        """Forget every value that is unwanted; how many there were."""
        gone = {key for kept in (self._young, self._old) for key, value in kept.items() if unwanted(value)}
        for key in gone:
            self.drop(key)
        return len(gone)
