"""Decisions: from memory, or from the component in a fresh sandbox.

A decision depends on the component, the slot, the signals, the candidates and the entropy; these are the whole key of
the memory, so two visitors with equal signals share an entry and no entry names a visitor. Signals are many and
decisions few: equal decisions are one object, with its recipes and its JSON, however many signals lead to it.
"""

from collections.abc import Mapping

from consent_core.decision.contract import Candidate, Decision, Signals
from consent_core.decision.seams import Personalizer
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.rendition import Recipe
from runtime_host.pop.serving.lru import LruCache

MemoKey = tuple[str, str, Signals, str, int]
MAX_SHOWN = 2_048  # different decisions held once each; a site has assets × copies × looks of them


class Decider:
    """Makes decisions and remembers them. `personalizers`: the active release of each category.

    Used on the event loop's thread only; bounded; the decisions not used for long give way.
    """

    def __init__(self, personalizers: Mapping[str, Personalizer], entries: int) -> None:
        self.personalizers = personalizers
        self._memo: LruCache[MemoKey, Shown] = LruCache(entries)
        self._shown: LruCache[tuple[str, str, str, Decision], Shown] = LruCache(MAX_SHOWN)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._memo)

    def lookup(self, category: str, slot: "Offer", signals: Signals, entropy: int) -> "Shown | None":
        """The decision of the active component for exactly these inputs, if it was made before."""
        shown = self._memo.get((self.personalizers[category].digest, slot.name, signals, slot.digest, entropy))
        if shown is None:
            self.misses += 1
        else:
            self.hits += 1
        return shown

    async def decide(self, category: str, slot: "Offer", signals: Signals, entropy: int) -> "Shown":
        """Ask the component and remember its answer, which the caller of the component has checked.

        Raises: Rejected (a decision error) or Unavailable("sandbox-…"); neither is remembered.
        """
        personalizer = self.personalizers[category]
        decision = await personalizer.adecide(slot.name, signals, slot.candidates, entropy)
        key = (personalizer.digest, slot.name, signals, slot.digest, entropy)
        same = (slot.name, slot.digest, category, decision)
        shown = self._shown.get(same) or self._shown.put(same, Shown(decision, category))
        return self._memo.put(key, shown)


class Shown:
    """What a slot shows: a decision, or None for the default. `recipes` and `body` belong to `delivery`."""

    __slots__ = ("body", "category", "decision", "recipes")

    def __init__(self, decision: Decision | None, category: str) -> None:
        self.decision = decision
        self.category = category
        self.recipes: dict[tuple[int, str, str], Recipe] = {}  # by width step and format: a few dozen at most
        self.body: bytes | None = None


class Offer:
    """What a slot may show, as a function sees it, and the digest that names the offer in the memory.

    `edition`: of the catalogue that it is from; what was decided for another one is not remembered for this.
    """

    __slots__ = ("candidates", "digest", "name")

    def __init__(self, name: str, candidates: tuple[Candidate, ...], edition: str = "") -> None:
        self.name = name
        self.candidates = candidates
        self.digest = sha256_digest(canonical_json([edition, [[c.asset, [*c.tags], [*c.copies]] for c in candidates]]))
