"""Finished renditions, by recipe, least recently used out first, bounded by bytes.

Trust: in memory only. Nothing in it belongs to a person: its keys are recipes.
"""

from collections import OrderedDict
from dataclasses import dataclass

from consent_core.formats.rendition import Recipe

ENTRY_OVERHEAD = 1_024  # bytes counted for key, headers and bookkeeping, so that tiny bodies cannot grow it unbounded


@dataclass(frozen=True, slots=True)
class Rendition:
    """Bytes for one recipe. `etag` is strong, quoted, and names the bytes."""

    body: bytes
    content_type: str
    etag: str


class RenditionCache:
    """Used from one event loop thread. The counters feed `consent_edge_asset_cache_*`."""

    def __init__(self, max_bytes: int = 64_000_000) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._entries: OrderedDict[Recipe, Rendition] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, recipe: Recipe) -> Rendition | None:
        """The rendition of this recipe, if it is here."""
        rendition = self._entries.get(recipe)
        if rendition is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(recipe)
        return rendition

    def put(self, recipe: Recipe, rendition: Rendition) -> None:
        """Keep a rendition; the least recently used ones make room. One larger than the cache is not kept."""
        self.discard(recipe)
        if _cost(rendition) > self.max_bytes:
            return
        self._entries[recipe] = rendition
        self.bytes += _cost(rendition)
        while self.bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= _cost(oldest)
            self.evictions += 1

    def discard(self, recipe: Recipe) -> None:
        """Forget one rendition."""
        rendition = self._entries.pop(recipe, None)
        if rendition is not None:
            self.bytes -= _cost(rendition)


def _cost(rendition: Rendition) -> int:
    return len(rendition.body) + ENTRY_OVERHEAD
