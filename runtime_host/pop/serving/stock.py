"""What a POP has to show: one edition of the catalogue, with what a function may choose from in each slot.

A request takes one edition at its beginning and keeps it to its end; the next edition takes over as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.decision.contract import Candidate
from consent_core.formats.canonical import canonical_json, sha256_digest
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.serving.decisions import Offer, Shown
from runtime_host.pop.serving.pipeline import DEFAULT, Place, places_of


@dataclass(frozen=True, slots=True)
class Stock:
    """`defaults`: what everybody sees, by slot."""

    catalogue: LoadedCatalogue
    places: Mapping[str, Place]
    defaults: Mapping[str, Shown]

    @classmethod
    def of(cls, catalogue: LoadedCatalogue) -> "Stock":
        """The stock of one edition."""
        slots, edition = catalogue.catalogue.slots, edition_of(catalogue)
        offers = {name: Offer(name, _candidates(catalogue, name), edition) for name in slots}
        return cls(catalogue, places_of(slots, offers), {name: Shown(None, DEFAULT) for name in slots})


def edition_of(catalogue: LoadedCatalogue) -> str:
    """A digest of all that a rendition's address is made of: what was remembered of another edition is not found."""
    slots = [repr(slot) for slot in catalogue.catalogue.slots.values()]
    assets = [[repr(asset), catalogue.sources[asset.id].name] for asset in catalogue.catalogue.assets.values()]
    return sha256_digest(canonical_json([slots, assets]))


def _candidates(catalogue: LoadedCatalogue, slot: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(asset.id, asset.tags, asset.copies) for asset in catalogue.candidates(slot))
