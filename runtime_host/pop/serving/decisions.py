"""Decisions: from memory, or from the component in a fresh sandbox, and what a decision must look like to be used.

A decision depends on the component, the slot, the signals, the candidates and the entropy; these are the whole key of
the memory, so two visitors with equal signals share an entry and no entry names a visitor.
"""

from collections import OrderedDict
from collections.abc import Mapping

from consent_core.errors import Unavailable
from consent_core.formats.canonical import canonical_json, sha256_digest
from runtime_host.pop.serving.seams import Personalizer
from runtime_host.wasm.contract import ADJUSTMENT_LIMIT, ENTROPY_VALUES, Candidate, Decision, Signals

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
        """Ask the component, check its answer, remember it.

        Raises: Rejected or Unavailable as the component's call does; Unavailable("decision-invalid").
        """
        personalizer = self.personalizers[category]
        decision = await personalizer.adecide(slot.name, signals, slot.candidates, entropy)
        check_decision(decision, slot.candidates)
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


def check_decision(decision: Decision, candidates: tuple[Candidate, ...]) -> None:
    """Refuse a decision that names what was not offered. Raises: Unavailable("decision-invalid")."""
    chosen = next((candidate for candidate in candidates if candidate.asset == decision.asset), None)
    if chosen is None:
        raise Unavailable("decision-invalid", "the asset is not a candidate")
    if decision.copy not in chosen.copies:
        raise Unavailable("decision-invalid", "the copy was not offered with this asset")
    adjustment = decision.adjustment
    for value in (adjustment.brightness, adjustment.saturation, adjustment.warmth):
        if not -ADJUSTMENT_LIMIT <= value <= ADJUSTMENT_LIMIT:
            raise Unavailable("decision-invalid", f"adjustment: expected -{ADJUSTMENT_LIMIT} to {ADJUSTMENT_LIMIT}")
    if not 1 <= decision.propensity <= ENTROPY_VALUES:
        raise Unavailable("decision-invalid", f"propensity: expected 1 to {ENTROPY_VALUES}")
