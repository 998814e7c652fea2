"""Letters without a shape never become boxes in a picture: they are named, and the picture is shown without copy."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from consent_core.errors import Rejected
from consent_core.formats.catalogue import Catalogue
from consent_core.formats.rendition import Overlay, RenditionKey, open_path, sign_path
from runtime_host.pop.images.loading import LoadedCatalogue, assemble
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.images.typefaces import FOLDERS, Typefaces
from tests.runtime_host.images.pictures import loaded

TENT = "テント"
KEY = RenditionKey("k1", bytes(32))
FONTS = Path(__file__).parents[3] / "runtime_host/pop/images/fonts"


def write_font(path: Path, letters: str, *, outlines: bool = True) -> Path:
    """A font with one square for each of these letters."""
    pen = TTGlyphPen(None)
    for point, move in (((0, 0), pen.moveTo), ((500, 0), pen.lineTo), ((500, 500), pen.lineTo)):
        move(point)
    pen.closePath()
    names = {ord(letter): f"u{ord(letter):04X}" for letter in letters}
    glyphs = dict.fromkeys((".notdef", *names.values()), pen.glyph())
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([*glyphs])
    builder.setupCharacterMap(names)
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (600, 0)))
    builder.setupHorizontalHeader()
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    if not outlines:
        del builder.font["glyf"], builder.font["loca"]
    builder.save(path)
    return path


@pytest.mark.parametrize(
    "text",
    ["Find your high line", "Zelte für zwei", "Найди вершину", "Βρες", "Za\u0308hlt", "a\u200db", " ", "½ · – “x” €"],
)
def test_the_shipped_font_draws_what_the_docs_say(tmp_path: Path, text: str) -> None:
    """Latin, Greek and Cyrillic, composed or not, with nothing installed at all."""
    faces = Typefaces([tmp_path])

    assert faces.missing(text) == ""
    assert faces.tag(text) == faces.tag("plain")


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        (f"Zelt {TENT}", TENT),
        ("خيمة", "خيمة"),
        ("camp ⛺ 🏕", "⛺🏕"),
        ("露营", "露营"),
        ("キャキャ", "キャ"),
        ("ไทย", "ไทย"),
    ],
)
def test_letters_that_no_font_draws_are_named(tmp_path: Path, text: str, lacking: str) -> None:
    """Each once, in their order: Japanese, Arabic, emoji, Chinese, Thai."""
    faces = Typefaces([tmp_path])

    assert faces.missing(text) == lacking
    assert faces.tag(text) is None


def test_an_installed_font_draws_its_letters(tmp_path: Path) -> None:
    """And its digest is in the address: another font is another picture."""
    bare = Typefaces([tmp_path / "nothing"])
    write_font(tmp_path / "kana.ttf", TENT)
    faces = Typefaces([tmp_path])

    assert faces.missing(TENT) == ""
    assert faces.tag("plain") == bare.tag("plain")
    assert faces.tag(TENT) not in (None, faces.tag("plain"))
    write_font(tmp_path / "more.ttf", "語")
    assert Typefaces([tmp_path]).tag(TENT) != faces.tag(TENT)


@pytest.mark.parametrize("kind", ["no outlines", "broken", "empty", "no font"])
def test_a_font_that_draws_nothing_counts_for_nothing(tmp_path: Path, kind: str) -> None:
    """A font of bitmaps or colours alone, or a damaged file, names letters that it cannot fill with white."""
    path = tmp_path / "kana.ttf"
    match kind:
        case "no outlines":
            write_font(path, TENT, outlines=False)
        case "broken":
            path.write_bytes(write_font(path, TENT).read_bytes()[:200])
        case "empty":
            path.touch()
        case "no font":
            path.write_text("fonts are elsewhere")

    assert Typefaces([tmp_path]).missing(TENT) == TENT


def catalogue_with(directory: Path, copy: str) -> LoadedCatalogue:
    """One slot, one picture, one copy."""
    made = loaded(directory)
    of = Catalogue(made.catalogue.slots, {"field": replace(made.catalogue.assets["field"], copies=(copy,))})
    return assemble(of, made.sources, {})


def test_copy_that_cannot_be_drawn_leaves_the_picture_plain(tmp_path: Path) -> None:
    """The page has the words; the picture is that of the slot without copy. Asset and letters are named."""
    private = "\ue000 tent"  # no font of a machine draws a private letter
    made = catalogue_with(tmp_path, private)

    assert made.recipe("hero", "field", copy=private) == made.recipe("hero", "field")
    assert made.undrawn == {"field": "no font draws \ue000 (U+E000)"}


def test_an_address_names_its_fonts(tmp_path: Path) -> None:
    """It survives the address, and one that names other fonts than this POP's is gone."""
    made = catalogue_with(tmp_path, "Plain words")
    recipe = made.recipe("hero", "field", 320, copy="Plain words", format="jpeg")
    assert recipe.overlay is not None
    assert re.fullmatch("[0-9a-f]{16}", recipe.overlay.fonts)
    assert open_path(sign_path(recipe, KEY).encode(), [KEY]) == recipe

    renderer = Renderer(made)
    assert renderer._source(recipe).name == recipe.source
    other = replace(recipe, overlay=Overlay("Plain words", "bottom-left", "0" * 16))
    with pytest.raises(Rejected) as gone:
        renderer._source(other)
    assert gone.value.status == 404


def test_render_processes_look_where_the_check_looks() -> None:
    """fonts.conf and `FOLDERS` name the same folders, and Pango sees no other."""
    named = re.findall(r"<dir>([^<]+)</dir>", (FONTS / "fonts.conf").read_text())

    assert named == [str(folder) for folder in FOLDERS]
