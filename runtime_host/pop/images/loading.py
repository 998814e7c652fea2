"""A catalogue together with its checked pictures, and the recipes that can be made of the two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Catalogue, parse_catalogue
from consent_core.formats.recipes import Recipes
from runtime_host.pop.images.sources import Source, check_source


@dataclass(frozen=True, slots=True)
class LoadedCatalogue(Recipes):
    """Slots, assets and the sources behind them, all checked."""

    catalogue: Catalogue
    sources: Mapping[str, Source]

    @property
    def pictures(self) -> Mapping[str, Source]:
        """The sources, by asset."""
        return self.sources


def load_catalogue(path: Path, art_dir: Path) -> LoadedCatalogue:
    """Read a catalogue and check every picture it names.

    Raises: Rejected("catalogue-invalid") or Rejected("asset-refused"), naming file and reason.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Rejected("catalogue-invalid", f"{path}: {error.strerror}") from error
    catalogue = parse_catalogue(data, str(path))
    return LoadedCatalogue(
        catalogue, {asset.id: check_source(art_dir / asset.file) for asset in catalogue.assets.values()}
    )
