"""The asset catalogue: what is refused, and whether the refusal leads to the line."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Catalogue, parse_catalogue
from consent_core.formats.rendition import Focal

GOOD = """\
version = 1

[[asset]]
id = "calm"
file = "calm.jpg"
tags = []
copies = ["Plain"]
focal = [0.5, 0.25]
alt = "Nothing much"

[[asset]]
id = "loud"
file = "loud.jpg"
tags = ["arm:a", "arm:b"]
copies = ["Plain", "Less plain"]
focal = [1, 0]
alt = "Very much"

[[slot]]
name = "tile"
category = "experimental"
fallback = ["contextual"]
width = 600
height = 600
default = "calm"
candidates = ["loud"]
overlay = "none"
background = "#0a0B0c"

[slot.experiment]
name = "promo"
arms = { a = 1, b = 3 }
""".replace("0a0B0c", "0a0b0c")


def test_a_catalogue_becomes_values() -> None:
    """Every field arrives, in the order of the file."""
    catalogue = parse_catalogue(GOOD.encode())
    slot = catalogue.slot("tile")

    assert (slot.category, slot.fallback, slot.width, slot.height) == ("experimental", ("contextual",), 600, 600)
    assert (slot.overlay, slot.background) == (None, (10, 11, 12))
    assert slot.experiment is not None
    assert (slot.experiment.name, slot.experiment.arms) == ("promo", (("a", 1), ("b", 3)))
    assert [asset.id for asset in catalogue.candidates("tile")] == ["loud"]
    assert catalogue.asset("tile", "loud").copies == ("Plain", "Less plain")
    assert Focal(500, 250) == catalogue.default("tile").focal


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("version = 1", "version = 2", 1, "version: expected 1"),
        ("version = 1", "version = true", 1, "version: expected a whole number"),
        ("version = 1", "version = 1\ncolour = 3", 2, "colour: not part of the format"),
        ('file = "calm.jpg"', 'file = "../calm.jpg"', 5, "asset[calm].file"),
        ('file = "calm.jpg"', 'file = "a/calm.jpg"', 5, "asset[calm].file"),
        ('file = "calm.jpg"\n', "", 3, "asset[calm].file: is missing"),
        ('id = "loud"', 'id = "calm"', 12, "a second asset is called 'calm'"),
        ('id = "loud"', 'id = "Loud"', 12, "not of the form"),
        ('copies = ["Plain"]', "copies = []", 7, "expected 1 to 8 texts"),
        ('copies = ["Plain"]', 'copies = ["' + "x" * 121 + '"]', 7, "1 to 120 characters"),
        ('copies = ["Plain"]', 'copies = ["a\\nb"]', 7, "1 to 120 characters"),
        ("focal = [0.5, 0.25]", "focal = [0.5]", 8, "two numbers"),
        ("focal = [0.5, 0.25]", "focal = [0.5, 1.5]", 8, "two numbers"),
        ("focal = [0.5, 0.25]", "focal = [nan, 0.5]", 8, "two numbers"),
        ("focal = [0.5, 0.25]", "focal = [true, 0.5]", 8, "two numbers"),
        ('tags = ["arm:a", "arm:b"]', 'tags = ["arm:a"]', 30, "no candidate has the tag 'arm:b'"),
        ('tags = ["arm:a", "arm:b"]', 'tags = ["arm:a", "arm:a"]', 14, "a value appears twice"),
        ('category = "experimental"', 'category = "marketing"', 21, "not one of contextual"),
        ('fallback = ["contextual"]', 'fallback = ["experimental"]', 22, "own category"),
        ("width = 600", "width = 30000", 23, "expected a whole number from 16 to 2400"),
        ("width = 600", "width = 600.0", 23, "expected a whole number"),
        ("height = 600", "height = -1", 24, "expected a whole number"),
        ('default = "calm"', 'default = "none"', 25, "'none' is not one of calm, loud"),
        ('candidates = ["loud"]', "candidates = []", 26, "expected at least one asset"),
        ('candidates = ["loud"]', 'candidates = ["gone"]', 26, "no asset is called 'gone'"),
        ('overlay = "none"', 'overlay = "left"', 27, "not one of none, top-left"),
        ('background = "#0a0b0c"', 'background = "black"', 28, "not of the form"),
        ("arms = { a = 1, b = 3 }", "arms = { a = 1 }", 32, "expected at least two"),
        ("arms = { a = 1, b = 3 }", "arms = { a = 1, b = 0 }", 32, "slot[tile].experiment.arms.b"),
        ('name = "promo"', 'name = ""', 31, "slot[tile].experiment.name"),
        ('[slot.experiment]\nname = "promo"\narms = { a = 1, b = 3 }\n', "", 19, "slot[tile].experiment: belongs to"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(old: str, new: str, line: int, says: str) -> None:
    """Whoever edits the catalogue is led to the place."""
    assert old in GOOD
    with pytest.raises(Rejected) as refusal:
        parse_catalogue(GOOD.replace(old, new, 1).encode(), "shop/catalogue.toml")

    assert refusal.value.code == "catalogue-invalid"
    assert refusal.value.message.startswith(f"shop/catalogue.toml:{line}: ")
    assert says in refusal.value.message


@pytest.mark.parametrize(
    "data", [b"", b"version = 1", b"[[asset]", b"\xff\xfe", b"version=1\nasset=3\nslot=[]", b"#" * 1_000_001]
)
def test_what_is_no_catalogue_is_refused(data: bytes) -> None:
    """Empty, cut, binary, oversized."""
    with pytest.raises(Rejected) as refusal:
        parse_catalogue(data)

    assert refusal.value.code == "catalogue-invalid"


@given(st.text(max_size=200), st.integers(0, len(GOOD)))
def test_text_put_anywhere_gives_a_catalogue_or_a_refusal(text: str, place: int) -> None:
    """Nothing but our own error leaves the parser."""
    data = (GOOD[:place] + text + GOOD[place:]).encode("utf-8", "surrogatepass")
    with suppress(Rejected):
        assert isinstance(parse_catalogue(data), Catalogue)


def test_an_unknown_slot_or_asset_is_not_found() -> None:
    """404, each with its own code; an asset of another slot is as unknown as one that does not exist."""
    catalogue = parse_catalogue(GOOD.encode())

    for ask, code in (
        (lambda: catalogue.slot("x"), "unknown-slot"),
        (lambda: catalogue.asset("tile", "x"), "unknown-asset"),
    ):
        with pytest.raises(Rejected) as refusal:
            ask()
        assert (code, 404) == (refusal.value.code, refusal.value.status)
