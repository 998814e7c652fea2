"""A catalogue together with its checked pictures, and the recipes that can be made of the two."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Catalogue, parse_catalogue
from consent_core.formats.recipes import Recipes
from runtime_host.pop.images.sources import Source, check_source

LOG = logging.getLogger("consent_edge.pop")


@dataclass(frozen=True, slots=True)
class LoadedCatalogue(Recipes):
    """Slots, assets and the sources behind them, all checked. `refused`: assets left out, and why.

    `kept`: assets shown as they were, because what is there now is broken, and why.
    """

    catalogue: Catalogue
    sources: Mapping[str, Source]
    refused: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> Mapping[str, Source]:
        """The sources, by asset."""
        return self.sources


def load_catalogue(path: Path, art_dir: Path) -> LoadedCatalogue:
    """Read a catalogue and check every picture it names. A picture that cannot be shown is left out, and named.

    Raises: Rejected("catalogue-invalid"); Rejected("asset-refused"), naming file and reason, where a slot would have
    no default left.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Rejected("catalogue-invalid", f"{path}: {error.strerror}") from error
    catalogue = parse_catalogue(data, str(path))
    sources: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for asset in catalogue.assets.values():
        try:
            sources[asset.id] = check_source(art_dir / asset.file, art_dir)
        except Rejected as error:
            refused[asset.id] = error.message
    loaded = assemble(catalogue, sources, refused)
    for asset_id, why in refused.items():
        LOG.warning("asset %s is left out: %s", asset_id, why)
    for source in sources.values():
        if source.warning is not None:
            LOG.warning("%s is odd: %s", source.path.name, source.warning)
    return loaded


def assemble(
    catalogue: Catalogue,
    sources: Mapping[str, Source],
    refused: Mapping[str, str],
    kept: Mapping[str, str] | None = None,
) -> LoadedCatalogue:
    """The catalogue of what is good. Raises: Rejected("asset-refused") where a slot would have no default left."""
    for slot in catalogue.slots.values():
        if slot.default in refused:
            raise Rejected("asset-refused", refused[slot.default])
    return LoadedCatalogue(catalogue.without(refused), sources, refused, kept or {})
