"""The shop's pictures: painted once, the same every time, and the catalogue names exactly them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pyvips

from consent_core.formats.catalogue import parse_catalogue
from demo import art
from demo.paint import posters

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small pictures stand for all: painting every one takes a quarter of a minute."""
    return tmp_path_factory.mktemp("art")


def test_the_catalogue_names_exactly_the_pictures_there_are() -> None:
    """A picture without a slot or a name without a picture is a mistake."""
    catalogue = parse_catalogue((ROOT / "demo" / "catalogue.toml").read_bytes(), "demo/catalogue.toml")

    assert {f"{name}.jpg" for name in art.PICTURES} == {asset.file for asset in catalogue.assets.values()}


def test_every_slot_has_several_pictures_and_a_calm_default() -> None:
    """The difference consent makes is visible: at least three candidates, none of them the default."""
    catalogue = parse_catalogue((ROOT / "demo" / "catalogue.toml").read_bytes())

    assert next(iter(catalogue.slots)) == "home-hero"
    for slot in catalogue.slots.values():
        assert len(slot.candidates) >= 3
        assert slot.default not in slot.candidates
        assert not catalogue.assets[slot.default].tags


def test_a_picture_is_six_megapixels_and_the_same_every_time() -> None:
    """3000 × 2000, byte for byte."""
    data = art.develop(posters.banner_calm(), seed=1)
    image = pyvips.Image.new_from_buffer(data, "")

    assert (image.width, image.height, image.bands) == (3000, 2000, 3)
    assert data == art.develop(posters.banner_calm(), seed=1)


def test_two_runs_at_once_paint_once(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two fleets of one checkout start together: the second waits for the first one's pictures."""
    monkeypatch.setattr(art, "PICTURES", {"banner-bike": posters.bike})
    with ThreadPoolExecutor(2) as threads:
        painted = list(threads.map(art.make_art, [gallery / "twice"] * 2))

    assert sorted(painted) == [[], ["banner-bike"]]


@pytest.mark.slow
def test_a_second_run_paints_nothing(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a picture is touched or the program changes."""
    monkeypatch.setattr(art, "PICTURES", {"tile-sunburst": posters.tile_sunburst, "banner-bike": posters.bike})
    painted = []

    assert art.make_art(gallery, painted.append) == ["tile-sunburst", "banner-bike"]
    assert painted == ["tile-sunburst", "banner-bike"]
    assert art.make_art(gallery) == []
    (gallery / "banner-bike.jpg").write_bytes(b"touched")
    assert len(art.make_art(gallery)) == 2
    (gallery / art.MANIFEST).write_text("{")
    assert len(art.make_art(gallery)) == 2
