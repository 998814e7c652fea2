"""The edge site: the catalogue as a portable edge needs it, without the pictures.

    data = EdgeSite.of(loaded.catalogue, {asset: source.name}).to_bytes()     # where the pictures are
    site = EdgeSite.from_bytes(data)                                          # where they are not
    site.recipe("home-hero", "alpine-dawn", 960)

Wire format: `docs/formats/edge-state.md`, section "Edge site". It names each picture's source by digest, so that the
edge's rendition addresses are those that a POP of the same deployment answers. Standard library only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Asset, Catalogue, Experiment, Slot
from consent_core.formats.recipes import Picture, Recipes
from consent_core.formats.rendition import Focal

VERSION = 1


class NamedPicture(NamedTuple):
    """A source file that is somewhere else, by the first 32 hex digits of its SHA-256."""

    name: str


@dataclass(frozen=True, slots=True)
class EdgeSite(Recipes):
    """Slots and assets of a site, the name of each asset's source, and what each copy is drawn with."""

    catalogue: Catalogue
    sources: Mapping[str, NamedPicture]
    drawn: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def fonts(self) -> Mapping[str, str | None]:
        """By copy."""
        return self.drawn

    @property
    def pictures(self) -> Mapping[str, NamedPicture]:
        """The sources, by asset."""
        return self.sources

    @classmethod
    def of(
        cls, catalogue: Catalogue, pictures: Mapping[str, Picture], fonts: Mapping[str, str | None] | None = None
    ) -> "EdgeSite":
        """The site of a catalogue whose pictures were checked."""
        return cls(catalogue, {asset: NamedPicture(picture.name) for asset, picture in pictures.items()}, fonts or {})

    def to_bytes(self) -> bytes:
        """JSON; `EdgeSite.from_bytes(s.to_bytes()) == s`."""
        assets = {name: [*asset, self.sources[name].name] for name, asset in _assets(self.catalogue).items()}
        slots = [_slot(slot) for slot in self.catalogue.slots.values()]
        value = {"version": VERSION, "assets": assets, "slots": slots, "fonts": dict(self.drawn)}
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    @classmethod
    def from_bytes(cls, data: bytes | str) -> "EdgeSite":
        """A site from what its deployment configured. Raises: Rejected("edge-site")."""
        try:
            value = json.loads(data)
            if value["version"] != VERSION:
                raise ValueError("version")
            assets = {name: _read_asset(name, *parts[:-1]) for name, parts in value["assets"].items()}
            slots = {slot.name: slot for slot in map(_read_slot, value["slots"])}
            pictures = {name: NamedPicture(str(parts[-1])) for name, parts in value["assets"].items()}
            return cls(Catalogue(slots, assets), pictures, dict(value.get("fonts", {})))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise Rejected("edge-site", "not the site that this component was made to read") from error


def _assets(catalogue: Catalogue) -> dict[str, list[Any]]:
    return {name: [asset.tags, asset.copies, asset.focal] for name, asset in catalogue.assets.items()}


def _read_asset(name: str, tags: list[str], copies: list[str], focal: list[int]) -> Asset:
    return Asset(name, "", tuple(tags), tuple(copies), Focal(*focal), "")


def _slot(slot: Slot) -> dict[str, Any]:
    trial = slot.experiment
    return {
        "name": slot.name,
        "category": slot.category,
        "fallback": slot.fallback,
        "size": (slot.width, slot.height),
        "default": slot.default,
        "candidates": slot.candidates,
        "overlay": slot.overlay,
        "experiment": None if trial is None else {"name": trial.name, "arms": trial.arms},
    }


def _read_slot(value: dict[str, Any]) -> Slot:
    trial, (width, height) = value["experiment"], value["size"]
    arms = () if trial is None else tuple((str(arm), int(weight)) for arm, weight in trial["arms"])
    return Slot(
        name=value["name"],
        category=value["category"],
        fallback=tuple(value["fallback"]),
        width=width,
        height=height,
        default=value["default"],
        candidates=tuple(value["candidates"]),
        overlay=value["overlay"],
        background=(0, 0, 0),  # of pictures with transparency: the renderer's business
        experiment=None if trial is None else Experiment(trial["name"], arms),
    )
