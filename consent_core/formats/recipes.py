"""The recipes that a catalogue and its pictures can be made into; the same on a POP and on an edge without pictures.

    recipes.recipe("home-hero", "alpine-dawn", 960, adjustment=decision.adjustment, copy=decision.copy)
    recipes.srcset("home-hero", "alpine-dawn")

Pure: a picture is known here by the name of its source alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Asset, Catalogue, Slot
from consent_core.formats.rendition import WIDTHS, Adjustment, Overlay, Recipe, output_width


class Look(Protocol):
    """Percent, -100 to 100, as in the WIT record `adjustment`."""

    @property
    def brightness(self) -> int: ...  # noqa: D102 - named by the WIT record
    @property
    def saturation(self) -> int: ...  # noqa: D102
    @property
    def warmth(self) -> int: ...  # noqa: D102


class Picture(Protocol):
    """A source file. `name`: the first 32 hex digits of its SHA-256."""

    @property
    def name(self) -> str: ...  # noqa: D102


class Recipes(ABC):
    """Slots, assets and what can be rendered of them. `sources`: the picture of each asset, by its id."""

    __slots__ = ()

    catalogue: Catalogue

    @property
    @abstractmethod
    def pictures(self) -> Mapping[str, Picture]:
        """The picture of each asset, by its id."""

    @property
    @abstractmethod
    def fonts(self) -> Mapping[str, str | None]:
        """What each copy is drawn with, as a digest; None for one that cannot be drawn."""

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

        `copy` must be one of the asset's; it is drawn where the slot says, unless it says none or no font draws it.
        Raises: Rejected, with "unknown-slot", "unknown-asset", "unknown-copy" or "bad-size".
        """
        place = self.slot(slot)
        shown = self.catalogue.asset(slot, asset)
        if copy is not None and copy not in shown.copies:
            raise Rejected("unknown-copy", "the asset has no such copy")
        pixels = output_width(place.width if width is None else width, dpr)
        return Recipe(
            asset=shown.id,
            source=self.pictures[shown.id].name,
            width=pixels,
            height=max(1, round(pixels * place.height / place.width)),
            format=format,
            quality=quality,
            focal=shown.focal,
            adjustment=_adjustment(adjustment),
            overlay=self._overlay(copy, place),
        )

    def _overlay(self, copy: str | None, place: Slot) -> Overlay | None:
        """Copy that no font draws is not drawn: boxes in its place would stay in caches for a year."""
        fonts = None if copy is None else self.fonts.get(copy, "")
        if copy is None or place.overlay is None or fonts is None:
            return None
        return Overlay(copy, place.overlay, fonts)

    def widths(self, slot: str) -> tuple[int, ...]:
        """The steps worth offering in a `srcset`: up to twice the slot's own width."""
        most = output_width(self.slot(slot).width, 2.0)
        return tuple(step for step in WIDTHS if step <= most)

    def srcset(
        self, slot: str, asset: str, *, adjustment: Look | None = None, copy: str | None = None
    ) -> tuple[Recipe, ...]:
        """One recipe per width, narrowest first, in format `auto`. Arguments and errors as in `recipe`."""
        return tuple(self.recipe(slot, asset, width, adjustment=adjustment, copy=copy) for width in self.widths(slot))


def _adjustment(look: Look | None) -> Adjustment:
    return Adjustment() if look is None else Adjustment(look.brightness, look.saturation, look.warmth)
