"""A catalogue together with its checked pictures, and the recipes that can be made of the two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Asset, Catalogue, Slot, parse_catalogue
from consent_core.formats.rendition import WIDTHS, Adjustment, Overlay, Recipe, output_width
from runtime_host.pop.images.sources import Source, check_source


class Look(Protocol):
    """Percent, -100 to 100, as in the WIT record `adjustment`."""

    @property
    def brightness(self) -> int: ...  # noqa: D102 - named by the WIT record
    @property
    def saturation(self) -> int: ...  # noqa: D102
    @property
    def warmth(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class LoadedCatalogue:
    """Slots, assets and the sources behind them, all checked."""

    catalogue: Catalogue
    sources: Mapping[str, Source]

    def slot(self, name: str) -> Slot:
        """The slot of that name. Raises: Rejected("unknown-slot", 404)."""
        return self.catalogue.slot(name)

    def candidates(self, slot: str) -> tuple[Asset, ...]:
        """What a function may choose from."""
        return self.catalogue.candidates(slot)

    def default(self, slot: str) -> Asset:
        """What everybody sees without consent."""
        return self.catalogue.default(slot)

    def recipe(
        self,
        slot: str,
        asset: str,
        width: int | None = None,
        dpr: float = 1.0,
        *,
        format: str = "auto",
        quality: str = "standard",
        adjustment: Look | None = None,
        copy: str | None = None,
    ) -> Recipe:
        """The recipe for one asset in one slot, `width` CSS pixels wide (default: the slot's own width).

        `copy` must be one of the asset's; it is drawn where the slot says, or not at all where it says none.
        Raises: Rejected, with "unknown-slot", "unknown-asset", "unknown-copy" or "bad-size".
        """
        place = self.slot(slot)
        shown = self.catalogue.asset(slot, asset)
        if copy is not None and copy not in shown.copies:
            raise Rejected("unknown-copy", "the asset has no such copy")
        pixels = output_width(place.width if width is None else width, dpr)
        return Recipe(
            asset=shown.id,
            source=self.sources[shown.id].name,
            width=pixels,
            height=max(1, round(pixels * place.height / place.width)),
            format=format,
            quality=quality,
            focal=shown.focal,
            adjustment=_adjustment(adjustment),
            overlay=Overlay(copy, place.overlay) if copy is not None and place.overlay is not None else None,
        )

    def widths(self, slot: str) -> tuple[int, ...]:
        """The steps worth offering in a `srcset`: up to twice the slot's own width."""
        most = output_width(self.slot(slot).width, 2.0)
        return tuple(step for step in WIDTHS if step <= most)

    def srcset(
        self, slot: str, asset: str, *, adjustment: Look | None = None, copy: str | None = None
    ) -> tuple[Recipe, ...]:
        """One recipe per width, narrowest first, in format `auto`. Arguments and errors as in `recipe`."""
        return tuple(self.recipe(slot, asset, width, adjustment=adjustment, copy=copy) for width in self.widths(slot))


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


def _adjustment(look: Look | None) -> Adjustment:
    return Adjustment() if look is None else Adjustment(look.brightness, look.saturation, look.warmth)
