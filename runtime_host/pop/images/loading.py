"""A catalogue together with its checked pictures, and the recipes that can be made of the two."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Catalogue, parse_catalogue
from consent_core.formats.recipes import Recipes
from runtime_host.pop.images.sources import Source, check_source
from runtime_host.pop.images.typefaces import typefaces

MAX_NAMED = 8  # letters
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
    drawn: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def fonts(self) -> Mapping[str, str | None]:
        """What each copy is drawn with; None for one that cannot be drawn."""
        return self.drawn

    @property
    def undrawn(self) -> Mapping[str, str]:
        """Assets with copy that pages show as text alone, since no font draws it, and the letters that lack."""
        letters = {
            asset.id: "".join(
                map(typefaces().missing, (copy for copy in asset.copies if self.fonts.get(copy, "") is None))
            )
            for asset in self.catalogue.assets.values()
        }
        return {asset: f"no font draws {_named(lacking)}" for asset, lacking in letters.items() if lacking}

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
    for asset_id, why in loaded.undrawn.items():
        LOG.warning("copy of %s is not drawn: %s", asset_id, why)
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
    shown = catalogue.without(refused)
    copies = {copy for asset in shown.assets.values() for copy in asset.copies}
    return LoadedCatalogue(shown, sources, refused, kept or {}, {copy: typefaces().tag(copy) for copy in copies})


def _named(letters: str) -> str:
    """The first few letters with their numbers, so that an operator can look for a font."""
    different = list(dict.fromkeys(letters))
    shown = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in different[:MAX_NAMED])
    return shown if len(different) <= MAX_NAMED else f"{shown} and {len(different) - MAX_NAMED} more"
