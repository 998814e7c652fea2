"""The seed models and the demo shop speak the same words: what the shop is about is what it shows."""

import tomllib

import pytest

from consent_core.decision.contract import (
    Candidate,
    Interaction,
    PageContext,
    Signals,
)
from runtime_host.wasm.functions import Personalizer
from tests.conftest import ROOT

CATALOGUE = tomllib.loads((ROOT / "demo" / "catalogue.toml").read_text(encoding="utf-8"))
ASSETS = {
    asset["id"]: Candidate(asset["id"], tuple(asset["tags"]), tuple(asset["copies"])) for asset in CATALOGUE["asset"]
}
SLOTS = {slot["name"]: tuple(ASSETS[name] for name in slot["candidates"]) for slot in CATALOGUE["slot"]}
HEROES = {
    "camping": "forest-mist",
    "climbing": "alpine-dawn",
    "water": "coast-sunset",
    "cycling": "city-night",
    "winter": "aurora-snow",
}
COMPANIONS = {"banner-tent", "banner-boots"}  # what goes with most things, once one has them
BANNERS = {
    ("camping", "tent"): "banner-tent",
    ("climbing", "boots"): "banner-boots",
    ("water", "kayak"): "banner-kayak",
    ("cycling", "bike"): "banner-bike",
    ("winter", "skis"): "banner-skis",
}


@pytest.mark.parametrize(("section", "asset"), HEROES.items())
def test_each_section_has_its_hero(personalizer: Personalizer, section: str, asset: str) -> None:
    """The picture of the section, with one of its own texts."""
    decision = personalizer.decide("home-hero", Signals(page=PageContext("/", section, (), "")), SLOTS["home-hero"], 0)

    assert decision.asset == asset


@pytest.mark.parametrize("kind", ["click", "purchase"])
@pytest.mark.parametrize(("tags", "asset"), BANNERS.items())
def test_each_interest_has_its_banner(personalizer: Personalizer, kind: str, tags: tuple[str, ...], asset: str) -> None:
    """Also after the banner of something else has been shown all day."""
    shown = [Interaction("impression", "banner", other, 0) for other in BANNERS if other != tags] * 10
    signals = Signals(history=(*shown, Interaction(kind, "item", tags, 0)))

    decision = personalizer.decide("member-banner", signals, SLOTS["member-banner"], 0)

    assert decision.asset in ({asset} if kind == "click" else {asset} | COMPANIONS)
