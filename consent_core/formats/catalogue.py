"""The asset catalogue: which slots a site has, and what may be shown in each.

Wire format: `docs/formats/catalogue.md` (TOML). Strict: an unknown key, a missing one or a name that leads nowhere is
refused with the file, the line and the key.

    catalogue = parse_catalogue(path.read_bytes(), "demo/catalogue.toml")
    catalogue.slot("home-hero").candidates      # asset ids
    catalogue.candidates("home-hero")           # the assets themselves

Pure: whether the files exist and are images is checked by the code that loads them (`runtime_host.pop.images`).
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from consent_core.errors import Rejected
from consent_core.formats.catalogue_toml import Table, read_table
from consent_core.formats.rendition import IDENTIFIER, Focal
from consent_core.formats.token import CATEGORIES

VERSION = 1
MAX_WEIGHT = 10_000
MAX_TAGS = 32
MAX_CANDIDATES = 64
ARM_TAG = "arm:"  # an asset tagged `arm:b` is what arm `b` shows

_TAG = re.compile(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Asset:
    """One picture and what may be said with it. `copies`: at least one, the first is the plain one."""

    id: str
    file: str
    tags: tuple[str, ...]
    copies: tuple[str, ...]
    focal: Focal
    alt: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms and their weights (positive integers), in the order of the file."""

    name: str
    arms: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place on a page. `width` × `height`: CSS pixels at its largest, which also fix its aspect."""

    name: str
    category: str
    fallback: tuple[str, ...]
    width: int
    height: int
    default: str
    candidates: tuple[str, ...]
    overlay: str | None
    background: tuple[int, int, int]
    experiment: Experiment | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All slots and assets of one site."""

    slots: Mapping[str, Slot]
    assets: Mapping[str, Asset]

    def slot(self, name: str) -> Slot:
        """The slot of that name. Raises: Rejected("unknown-slot", 404)."""
        try:
            return self.slots[name]
        except KeyError:
            raise Rejected("unknown-slot", "the catalogue has no such slot", status=404) from None

    def asset(self, slot: str, asset: str) -> Asset:
        """An asset that this slot may show. Raises: Rejected("unknown-asset", 404)."""
        place = self.slot(slot)
        if asset != place.default and asset not in place.candidates:
            raise Rejected("unknown-asset", "the slot may not show this asset", status=404)
        return self.assets[asset]

    def candidates(self, slot: str) -> tuple[Asset, ...]:
        """What a function may choose from, in the order of the file."""
        return tuple(self.assets[asset] for asset in self.slot(slot).candidates)

    def default(self, slot: str) -> Asset:
        """What everybody sees without consent."""
        return self.assets[self.slot(slot).default]

    def without(self, assets: Container[str]) -> "Catalogue":
        """The same without some assets, none of which is a slot's default."""
        slots = {
            name: replace(slot, candidates=tuple(asset for asset in slot.candidates if asset not in assets))
            for name, slot in self.slots.items()
        }
        return Catalogue(slots, {name: asset for name, asset in self.assets.items() if name not in assets})


def parse_catalogue(data: bytes, name: str = "catalogue.toml") -> Catalogue:
    """Values from TOML. `name` is the file as errors should call it. Raises: Rejected("catalogue-invalid")."""
    top = read_table(data, name)
    top.only("version", "asset", "slot")
    if top.number("version", 1, 1_000_000) != VERSION:
        top.refuse("version", f"expected {VERSION}")
    assets: dict[str, Asset] = {}
    for table in top.tables("asset"):
        asset = _read_asset(table)
        if asset.id in assets:
            table.refuse("id", f"a second asset is called {asset.id!r}")
        assets[asset.id] = asset
    slots: dict[str, Slot] = {}
    for table in top.tables("slot"):
        slot = _read_slot(table, assets)
        if slot.name in slots:
            table.refuse("name", f"a second slot is called {slot.name!r}")
        slots[slot.name] = slot
    return Catalogue(MappingProxyType(slots), MappingProxyType(assets))


def _read_asset(table: Table) -> Asset:
    table.only("id", "file", "tags", "copies", "focal", "alt")
    return Asset(
        id=table.matching("id", IDENTIFIER),
        file=table.matching("file", _FILE),
        tags=table.texts("tags", _TAG, MAX_TAGS),
        copies=table.copies("copies"),
        focal=table.focal("focal"),
        alt=table.text("alt", 300),
    )


def _read_slot(table: Table, assets: Mapping[str, Asset]) -> Slot:
    table.only(
        *("name", "category", "fallback", "width", "height", "default"),
        *("candidates", "overlay", "background", "experiment"),
    )
    slot = Slot(
        name=table.matching("name", IDENTIFIER),
        category=table.one_of("category", CATEGORIES),
        fallback=table.texts("fallback", re.compile("|".join(CATEGORIES)), len(CATEGORIES)),
        width=table.number("width", 16, 2400),
        height=table.number("height", 16, 2400),
        default=table.one_of("default", tuple(assets)),
        candidates=table.texts("candidates", IDENTIFIER, MAX_CANDIDATES),
        overlay=table.overlay("overlay"),
        background=table.colour("background"),
        experiment=_read_experiment(table),
    )
    _check_slot(slot, table, assets)
    return slot


def _check_slot(slot: Slot, table: Table, assets: Mapping[str, Asset]) -> None:
    if not slot.candidates:
        table.refuse("candidates", "expected at least one asset")
    for candidate in slot.candidates:
        if candidate not in assets:
            table.refuse("candidates", f"no asset is called {candidate!r}")
    if slot.category in slot.fallback:
        table.refuse("fallback", f"{slot.category!r} is the slot's own category")
    if (slot.experiment is not None) != ("experimental" in (slot.category, *slot.fallback)):
        table.refuse("experiment", "belongs to slots of category experimental, and to each of them")
    for arm, _ in slot.experiment.arms if slot.experiment else ():
        if not any(ARM_TAG + arm in assets[candidate].tags for candidate in slot.candidates):
            table.refuse("experiment", f"no candidate has the tag {ARM_TAG + arm!r}")


def _read_experiment(table: Table) -> Experiment | None:
    if "experiment" not in table.values:
        return None
    inner = table.inner("experiment")
    inner.only("name", "arms")
    arms = inner.inner("arms")
    if len(arms.values) < 2:
        inner.refuse("arms", "expected at least two")
    for arm in arms.values:
        if not IDENTIFIER.fullmatch(arm):
            arms.refuse(arm, "expected an identifier")
    weights = tuple((arm, arms.number(arm, 1, MAX_WEIGHT)) for arm in arms.values)
    return Experiment(inner.matching("name", IDENTIFIER), weights)
