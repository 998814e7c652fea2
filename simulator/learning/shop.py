"""A shop with known tastes: 288 situations, six assets, click rates of 2 to 15 %.

shop = Shop.open()
shop.clicks[situation, asset]        # the truth that learning does not know
shop.features(situation, asset)      # what the product's model sees of it
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from consent_core.privacy.clipping import Floats
from consent_core.resources import resource

SECTIONS: Final = ("camping", "climbing", "water", "cycling", "winter", "travel")
KINDS: Final = ("", "shop", "guide", "product")
LANGUAGES: Final = ("en", "de", "fr", "ja")
ASSETS: Final = {
    "alpine-dawn": ("climbing", "mountain", "boots"),
    "coast-sunset": ("water", "coast", "kayak"),
    "forest-mist": ("camping", "forest", "tent"),
    "city-night": ("cycling", "city", "bike"),
    "aurora-snow": ("winter", "snow"),
    "desert-dusk": ("travel", "desert"),
}
BASE: Final = 0.02  # click rate of an asset without a taste for it
TASTE, SECOND, NUDGE = 0.05, 0.02, 0.02  # added by the section's favourite, its second, and small preferences
ROTATED: Final = 2  # a section's favourite is not the asset of its name: what learning must find out


@dataclass(frozen=True, slots=True)
class Shop:
    """clicks: how often each asset is clicked in each situation. phi: features, situations x assets x buckets."""

    clicks: Floats
    phi: Floats

    @classmethod
    def open(cls) -> "Shop":
        """The one shop; it has no randomness."""
        situations = list(_situations())
        clicks = np.array([[_rate(*situation, j) for j in range(len(ASSETS))] for situation in situations])
        phi = np.array([[_features(*situation, tags) for tags in ASSETS.values()] for situation in situations])
        return cls(clicks, phi)

    @property
    def best(self) -> float:
        """The click rate of somebody who knows all tastes."""
        return float(self.clicks.max(axis=1).mean())

    @property
    def uniform(self) -> float:
        """The click rate of showing anything."""
        return float(self.clicks.mean())

    def lift(self, rate: float) -> float:
        """A click rate as a share of what is possible: 0 is uniform, 1 the best."""
        return (rate - self.uniform) / (self.best - self.uniform)

    def scores(self, weights: Floats) -> Floats:
        """How well each asset fits each situation."""
        scores: NDArray[np.float64] = self.phi @ weights
        return scores


def _situations() -> list[tuple[str, str, str, str]]:
    """Section, kind of page, language, and one tag of the page: none or one of two."""
    tags = sorted({tag for asset in ASSETS.values() for tag in asset})
    plain = list(product(SECTIONS, KINDS, LANGUAGES))
    return [
        (*situation, tag) for n, situation in enumerate(plain) for tag in ("", tags[n % 16], tags[(n * 7 + 3) % 16])
    ]


def _rate(section: str, kind: str, language: str, tag: str, asset: int) -> float:
    favourite = (SECTIONS.index(section) + ROTATED) % len(ASSETS)
    rate = BASE + TASTE * (asset == favourite) + SECOND * (asset == (favourite + 1) % len(ASSETS))
    likes = (kind == "guide" and asset == 4, language == "ja" and asset == 3, tag in list(ASSETS.values())[asset])
    return rate + NUDGE * sum(likes)


def _features(section: str, kind: str, language: str, tag: str, tags: tuple[str, ...]) -> Floats:
    """The mean over an asset's tags, as the product's model scores candidates."""
    guest, row = _guest(), np.zeros(_guest().BUCKETS)
    for token, strength in guest.strongest(guest.page_tokens(f"/{kind}", section, [tag] if tag else [], language)):
        for word in tags:
            row[guest.bucket(token, word)] += strength / len(tags)
    return row


@cache
def _guest() -> ModuleType:
    """The guest's own features.py: nothing here counts features in another way."""
    path = resource("functions") / "personalization" / "features.py"
    spec = importlib.util.spec_from_file_location("guest_features", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
