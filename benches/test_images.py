"""What a rendition costs: cold against the same work written directly against libvips, and hot.

`cold` is the whole way of a POP: look-up, render process, reading and comparing the source, render, entity tag, cache.
`raw` is what one would write by hand with libvips set up the same way: read, thumbnail, crop, encode. The `lettered`
pair adds colours and copy on both sides, by the obvious libvips calls on the raw one.
"""

import asyncio
from collections.abc import Iterator
from html import escape
from pathlib import Path
from time import perf_counter

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.formats.rendition import Adjustment, Recipe, RenditionKey, open_path, sign_path
from demo.art import paint
from runtime_host.pop.images import LoadedCatalogue, Renderer, RenditionCache, load_catalogue, negotiate
from runtime_host.pop.images.lettering import FONT, FONT_FILE
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.pixels import AVIF_EFFORT, Q, colour_matrix
from runtime_host.pop.images.processes import RenderProcesses

ROUNDS = 30
ADJUSTMENT = Adjustment(4, 4, 18)
COPY = "A tent, a forest, a morning"
CATALOGUE = """
version = 1
[[asset]]
id = "tile-moon"
file = "tile-moon.jpg"
tags = []
copies = ["A tent, a forest, a morning"]
focal = [0.5, 0.5]
alt = "A moon"
[[slot]]
name = "home-hero"
category = "contextual"
fallback = []
width = 1200
height = 675
default = "tile-moon"
candidates = ["tile-moon"]
overlay = "bottom-left"
background = "#000000"
"""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalogue:
    """One six-megapixel source; the shop's own where it has been painted."""
    art = Path("build/art")
    name = "alpine-dawn" if (art / "alpine-dawn.jpg").is_file() else "quiet-valley"
    if not (art / f"{name}.jpg").is_file():
        art = tmp_path_factory.mktemp("art")
        paint(name, art)
    text = CATALOGUE.replace("tile-moon", name)
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.toml"
    file.write_text(text)
    return load_catalogue(file, art)


@pytest.fixture
def renderer(catalogue: LoadedCatalogue, loop: asyncio.AbstractEventLoop) -> Iterator[Renderer]:
    made = Renderer(catalogue, RenditionCache(), RenderProcesses(2))
    yield made
    loop.run_until_complete(made.close())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def recipe(catalogue: LoadedCatalogue, *, lettered: bool = False) -> Recipe:
    (asset,) = catalogue.sources
    look = {"adjustment": ADJUSTMENT, "copy": COPY} if lettered else {}
    return catalogue.recipe("home-hero", asset, format="avif", **look)


def raw(path: Path, *, lettered: bool = False) -> bytes:
    """The same picture by hand."""
    image = Image.thumbnail_buffer(path.read_bytes(), 1200, height=800, size="force").crop(0, 62, 1200, 675)
    if lettered:
        image = image.recomb(Image.new_from_array(colour_matrix(ADJUSTMENT))).cast("uchar")
        ramp = (Image.grey(675, 1200).rot90().flipver() ** 3 * 173).cast("uchar")
        black = Image.black(1200, 675, bands=3).copy(interpretation="srgb").bandjoin(ramp)
        mask = Image.text(escape(COPY), font=f"{FONT} 57", fontfile=str(FONT_FILE), width=755, dpi=72)
        white = mask.new_from_image([255, 255, 255]).copy(interpretation="srgb").bandjoin(mask)
        image = image.composite2(black, "over").composite2(white, "over", x=47, y=570).flatten()
    encoded: bytes = image.heifsave_buffer(
        compression="av1", Q=Q["avif"]["standard"], effort=AVIF_EFFORT, bitdepth=8, keep="none"
    )
    return encoded


@pytest.mark.parametrize("lettered", [False, True], ids=["plain", "lettered"])
def test_cold_hero(
    benchmark: BenchmarkFixture,
    catalogue: LoadedCatalogue,
    renderer: Renderer,
    loop: asyncio.AbstractEventLoop,
    lettered: bool,
) -> None:
    wanted = recipe(catalogue, lettered=lettered)
    (source,) = catalogue.sources.values()
    by_hand: list[float] = []

    def before() -> None:
        """The same by hand, in turn: what else the machine does meets both alike."""
        renderer.cache.discard(wanted)
        started = perf_counter()
        raw(source.path, lettered=lettered)
        by_hand.append(perf_counter() - started)

    rendition = benchmark.pedantic(
        lambda: loop.run_until_complete(renderer.render(wanted)), setup=before, rounds=ROUNDS, warmup_rounds=3
    )
    benchmark.extra_info["bytes"] = len(rendition.body)
    benchmark.extra_info["ratio"] = benchmark.stats.stats.min / min(by_hand[3:])


def test_hot_rendition(
    benchmark: BenchmarkFixture, catalogue: LoadedCatalogue, renderer: Renderer, loop: asyncio.AbstractEventLoop
) -> None:
    wanted = recipe(catalogue)
    loop.run_until_complete(renderer.render(wanted))
    benchmark(renderer.cached, wanted)


def test_open_a_signed_path(benchmark: BenchmarkFixture, catalogue: LoadedCatalogue) -> None:
    key = RenditionKey("k1", bytes(32))
    path = sign_path(recipe(catalogue, lettered=True), key).encode("ascii")
    benchmark(open_path, path, [key])


def test_negotiate(benchmark: BenchmarkFixture) -> None:
    benchmark(negotiate, "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8")
