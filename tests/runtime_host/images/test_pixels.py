"""What a rendition looks like: size, crop, colours, copy, and that the same recipe is the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.rendition import POSITIONS, WIDTHS, Adjustment, Focal, Overlay, Recipe
from runtime_host.pop.images.lettering import text_mask
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.pixels import crop_box, cropped, render
from runtime_host.pop.images.sources import Source, check_source
from tests.runtime_host.images.pictures import FIELD, decoded, field, loaded, write_jpeg

FORMATS = ("avif", "webp", "jpeg")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return check_source(write_jpeg(tmp_path_factory.mktemp("art") / "field.jpg", field()))


def recipe(source: Source, width: int = 320, height: int = 180, **other: object) -> Recipe:
    return Recipe("field", source.name, width, height, **{"format": "jpeg"} | other)  # type: ignore[arg-type]


def mean(source: Source, **other: object) -> np.ndarray:
    return decoded(render(source.read(), source, recipe(source, **other))).reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(320, 180), (480, 480), (640, 20), (824, 480), (320, 900)])
def test_a_rendition_has_the_size_and_format_of_its_recipe(
    source: Source, format: str, width: int, height: int
) -> None:
    """To the pixel, also where the source must be enlarged or is of quite another aspect."""
    body = render(source.read(), source, recipe(source, width, height, format=format))
    image = Image.new_from_buffer(body, "")

    assert (width, height, 3) == (image.width, image.height, image.bands)
    assert {"avif": "heif", "webp": "webp", "jpeg": "jpeg"}[format] in image.get("vips-loader")


@given(
    size=st.tuples(st.integers(20, 6000), st.integers(20, 6000)),
    target=st.tuples(st.sampled_from(WIDTHS), st.integers(1, 4800)),
    focal=st.builds(Focal, st.integers(0, 1000), st.integers(0, 1000)),
)
def test_a_crop_keeps_its_focal_point(size: tuple[int, int], target: tuple[int, int], focal: Focal) -> None:
    """For every size and aspect the box lies within the scaled source, and the focal point within the box."""
    scaled, (left, top, width, height) = crop_box(size, target, focal)

    assert target == (width, height)
    assert 0 <= left <= scaled[0] - width
    assert 0 <= top <= scaled[1] - height
    assert left - 1 <= scaled[0] * focal.x / 1000 <= left + width + 1
    assert top - 1 <= scaled[1] * focal.y / 1000 <= top + height + 1
    assert scaled[0] == width or scaled[1] == height  # nothing is thrown away along one side


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.8, 1.0]),
    y=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    width=st.sampled_from(WIDTHS[:4]),
    height=st.integers(40, 900),
)
def test_a_mark_planted_at_the_focal_point_is_seen(tmp_path: Path, x: float, y: float, width: int, height: int) -> None:
    """The same with pixels: a red square at the focal point is in the picture at every size."""
    source = check_source(write_jpeg(tmp_path / "marked.jpg", field(mark=(x, y))))
    focal = Focal(round(x * 1000), round(y * 1000))
    pixels = cropped(source.read(), source, (width, height), focal).numpy().astype(int)

    assert (pixels[..., 0] - pixels[..., 1]).max() > 80


def test_the_same_recipe_gives_the_same_bytes(source: Source) -> None:
    """In every format, with everything switched on: an entity tag and a cache key depend on it."""
    for format in FORMATS:
        full = recipe(source, format=format, adjustment=Adjustment(5, -10, 20), overlay=Overlay("Twice the same"))
        assert render(source.read(), source, full) == render(source.read(), source, full)


def test_colours_stay_as_they_are_without_adjustment(source: Source) -> None:
    """Zero means untouched."""
    assert np.abs(mean(source) - FIELD).max() < 2


def test_brightness_moves_all_colours(source: Source) -> None:
    """Up is lighter, down darker, -100 black."""
    plain = mean(source)

    assert (mean(source, adjustment=Adjustment(brightness=30)) > plain + 15).all()
    assert (mean(source, adjustment=Adjustment(brightness=-30)) < plain - 15).all()
    assert mean(source, adjustment=Adjustment(brightness=-100)).max() < 2


def test_saturation_spreads_or_joins_the_colours(source: Source) -> None:
    """Up spreads them, -100 leaves grey of the same brightness."""
    plain, grey = mean(source), mean(source, adjustment=Adjustment(saturation=-100))

    assert np.ptp(mean(source, adjustment=Adjustment(saturation=60))) > np.ptp(plain) + 8
    assert np.ptp(grey) < 3
    assert abs(grey[0] - plain @ (0.2126, 0.7152, 0.0722)) < 3


def test_warmth_moves_red_against_blue(source: Source) -> None:
    """Warmer is redder and less blue; colder the reverse."""
    plain = mean(source)
    warm, cold = (mean(source, adjustment=Adjustment(warmth=warmth)) for warmth in (60, -60))

    assert warm[0] > plain[0] + 4 > plain[0] > cold[0] + 4
    assert warm[2] < plain[2] - 4 < plain[2] < cold[2] - 4


@pytest.mark.parametrize("position", POSITIONS)
def test_copy_is_drawn_where_the_position_says(source: Source, position: str) -> None:
    """White letters appear in that part of the picture, and nowhere at its opposite edge."""
    lettered = decoded(render(source.read(), source, recipe(source, 640, 360, overlay=Overlay("Words", position))))
    rows, columns = np.nonzero((lettered > 225).all(axis=-1))
    row, column = np.median(rows) / 360, np.median(columns) / 640

    assert {"top": row < 0.4, "bott": row > 0.6, "cent": 0.4 < row < 0.6}[position[:4].rstrip("-")]
    assert {"left": column < 0.5, "ight": column > 0.5, "nter": 0.4 < column < 0.6}[position[-4:]]


@pytest.mark.parametrize(
    "text",
    [
        "a < b & c > d",
        "<b>bold</b>",
        "<span size='999999'>x</span>",
        "&#x1F600; &amp; &nosuch;",
        "<",
        "&",
        "%s %n",
        "</markup>",
    ],
)
def test_copy_is_text_and_never_markup(source: Source, text: str) -> None:
    """Pango reads markup: unescaped, these would fail, vanish or take over the picture."""
    escaped = text_mask(text, 640, 360)

    assert escaped.width <= 640
    assert escaped.height <= 360
    assert escaped.max() > 200
    assert text_mask("<b>bold</b>", 900, 900).width > 1.5 * text_mask("bold", 900, 900).width
    render(source.read(), source, recipe(source, 640, 360, overlay=Overlay(text)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=120),
    size=st.sampled_from([(320, 20), (320, 320), (824, 480), (320, 1)]),
)
@example(text="\U000e0000", size=(320, 20))
def test_any_copy_fits_any_picture(text: str, size: tuple[int, int]) -> None:
    """Long words, other scripts, only spaces, pictures one pixel high: the mask never exceeds the picture."""
    mask = text_mask(text, *size)

    assert mask.width <= size[0]
    assert mask.height <= size[1]


def test_nothing_of_the_sources_metadata_is_left(tmp_path: Path) -> None:
    """Neither place nor camera nor owner: a rendition carries pixels only."""
    image = field().copy()
    image.set_type(_GSTR, "exif-ifd0-Copyright", "somebody")
    image.set_type(_GSTR, "exif-ifd2-UserComment", "somewhere")
    source = check_source(write_jpeg(tmp_path / "tagged.jpg", image))
    assert b"somebody" in source.read()

    for format in FORMATS:
        body = render(source.read(), source, recipe(source, format=format))
        fields = Image.new_from_buffer(body, "").get_fields()
        assert not [name for name in fields if name.startswith(("exif", "xmp", "iptc", "icc"))]


_GSTR = Image.new_from_buffer(field(8, 8).jpegsave_buffer(), "").get_typeof("vips-loader")


def test_a_wide_gamut_source_is_converted_to_srgb(tmp_path: Path) -> None:
    """The same colour told in Display P3 comes out as the sRGB it is; an sRGB source is not converted at all."""
    told_in_p3 = field().icc_transform("p3", input_profile="srgb")
    assert np.abs(told_in_p3.numpy().reshape(-1, 3).mean(axis=0) - FIELD).max() > 2
    source = check_source(write_jpeg(tmp_path / "p3.jpg", told_in_p3, profile="p3"))
    plain = check_source(write_jpeg(tmp_path / "srgb.jpg", field(), profile="srgb"))

    assert (source.converts, plain.converts) == (True, False)
    assert np.abs(mean(source) - FIELD).max() < 3


def test_grey_transparent_and_cmyk_sources_become_three_bands(tmp_path: Path) -> None:
    """A rendition is opaque sRGB, of every kind of source."""
    pictures = {
        "grey.png": field().colourspace("b-w"),
        "clear.png": field().bandjoin(100),
        "cmyk.jpg": field().icc_transform("cmyk", input_profile="srgb"),
        "deep.png": field().colourspace("rgb16"),
    }
    for name, image in pictures.items():
        image.write_to_file(str(tmp_path / name))
        source = check_source(tmp_path / name)
        body = render(source.read(), source, recipe(source))

        assert decoded(body).shape == (180, 320, 3), name


def test_a_source_on_its_side_is_turned_before_it_is_cropped(tmp_path: Path) -> None:
    """Focal points mean the picture as people see it."""
    image = field(600, 400, mark=(0.1, 0.5)).copy()
    image.set_type(image.get_typeof("width"), "orientation", 6)  # shown turned clockwise: the mark is at the top
    source = check_source(write_jpeg(tmp_path / "turned.jpg", image))
    pixels = cropped(source.read(), source, (320, 100), Focal(500, 100)).numpy().astype(int)

    assert (pixels[..., 0] - pixels[..., 1]).max() > 80


def test_bytes_that_turn_bad_are_unavailable_and_no_crash(source: Source) -> None:
    """A source that was good at start and is not now: 503 with a code."""
    with pytest.raises(Unavailable) as failure:
        render(source.read()[:200], source, recipe(source))

    assert failure.value.code == "render-failed"


def test_an_undecided_format_is_our_own_mistake(source: Source) -> None:
    """`auto` is for addresses; the renderer gets the negotiated format."""
    with pytest.raises(ValueError, match="auto"):
        render(source.read(), source, recipe(source, format="auto"))


def test_a_recipe_is_made_of_what_the_catalogue_holds(tmp_path: Path) -> None:
    """Aspect from the slot, focal point from the asset, copy from its list; anything else has its own code."""
    catalogue = loaded(tmp_path, focal=Focal(250, 750))
    made = catalogue.recipe("hero", "field", 400, 2.0, copy="Plain words", adjustment=Adjustment(1, 2, 3))

    assert (made.width, made.height, made.format) == (824, 464, "auto")
    assert (Focal(250, 750), Adjustment(1, 2, 3)) == (made.focal, made.adjustment)
    assert Overlay("Plain words", "bottom-left") == made.overlay
    assert catalogue.recipe("hero", "field").overlay is None
    refused = {
        "unknown-slot": {"slot": "x", "asset": "field"},
        "unknown-asset": {"slot": "hero", "asset": "x"},
        "unknown-copy": {"slot": "hero", "asset": "field", "copy": "Somebody's name"},
        "bad-size": {"slot": "hero", "asset": "field", "width": -5},
    }
    for code, arguments in refused.items():
        with pytest.raises(Rejected) as refusal:
            catalogue.recipe(**arguments)  # type: ignore[arg-type]
        assert code == refusal.value.code


def test_a_srcset_offers_steps_up_to_twice_the_slot(tmp_path: Path) -> None:
    """Narrowest first, one recipe per width."""
    assert [made.width for made in loaded(tmp_path).srcset("hero", "field")] == [320, 480, 640, 824, 960, 1200, 1600]
