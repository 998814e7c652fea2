"""Decisions: from memory, or from the component in a fresh sandbox.

A decision depends on the component, the slot, the signals, the candidates and the entropy; these are the whole key of
the memory, so two visitors with equal signals share an entry and no entry names a visitor.
"""

from collections import OrderedDict
from collections.abc import Mapping

from consent_core.formats.canonical import canonical_json, sha256_digest
from runtime_host.pop.serving.seams import Personalizer
from runtime_host.wasm.contract import Candidate, Decision, Signals

MemoKey = tuple[str, str, Signals, str, int]


class Decider:
    """Makes decisions and remembers them. `personalizers`: the active release of each category.

    Used on the event loop's thread only; bounded; the least recently used decision gives way.
    """

    def __init__(self, personalizers: Mapping[str, Personalizer], entries: int) -> None:
        if entries < 1:
            raise ValueError("entries: expected at least 1")
        self.personalizers = personalizers
        self._entries = entries
        self._memo: OrderedDict[MemoKey, Decision] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._memo)

    def recall(self, category: str, slot: "Offer", signals: Signals, entropy: int) -> Decision | None:
        """The decision of the active component for exactly these inputs, if it was made before."""
        key = (self.personalizers[category].digest, slot.name, signals, slot.digest, entropy)
        decision = self._memo.get(key)
        if decision is None:
            self.misses += 1
            return None
        self._memo.move_to_end(key)
        self.hits += 1
        return decision

    async def decide(self, category: str, slot: "Offer", signals: Signals, entropy: int) -> Decision:
        """Ask the component and remember its answer, which the caller of the component has checked.

        Raises: Rejected (a decision error) or Unavailable("sandbox-…"); neither is remembered.
        """
        personalizer = self.personalizers[category]
        decision = await personalizer.adecide(slot.name, signals, slot.candidates, entropy)
        self._memo[personalizer.digest, slot.name, signals, slot.digest, entropy] = decision
        if len(self._memo) > self._entries:
            self._memo.popitem(last=False)
        return decision


class Offer:
    """What a slot may show, as a function sees it, and the digest that names the offer in the memory."""

    __slots__ = ("candidates", "digest", "name")

    def __init__(self, name: str, candidates: tuple[Candidate, ...]) -> None:
        self.name = name
        self.candidates = candidates
        self.digest = sha256_digest(canonical_json([[c.asset, [*c.tags], [*c.copies]] for c in candidates]))
