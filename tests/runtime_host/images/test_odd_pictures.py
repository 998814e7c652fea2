"""Three hundred hostile and odd pictures: refused by one code, or shown as another decoder shows them. Nothing else."""

import asyncio
import io
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
import pytest

from consent_core.errors import Rejected
from consent_core.formats.rendition import Recipe
from runtime_host.pop.images.pixels import render
from runtime_host.pop.images.processes import RenderProcesses
from runtime_host.pop.images.sources import check_source
from tests.runtime_host.images.odd_pictures import Row, rows
from tests.runtime_host.images.pictures import decoded

ALIKE = 6.0  # of 255: the mean of any quarter of a picture, as two decoders and two ways to shrink see it


@pytest.fixture(scope="module")
def files() -> list[Row]:
    return list(rows())


def test_there_are_enough_of_them(files: list[Row]) -> None:
    """Of each kind several, each under its own name."""
    kinds = Counter(row.kind for row in files)

    assert len(kinds) >= 12
    assert len(files) == len({(row.kind, row.name) for row in files}) >= 260
    assert min(kinds.values()) >= 2


def verdict(path: Path, row: Row) -> str:
    """What a POP says of the file: the size that it takes it with, or the code."""
    path.write_bytes(row.data)
    try:
        source = check_source(path)
    except Rejected as error:
        return error.code
    return f"{source.width}x{source.height}"


def test_each_is_shown_or_refused_by_one_code(tmp_path: Path, files: list[Row]) -> None:
    """A decoder's own errors, overflows and warnings never come out; sizes are those of the upright picture."""
    wanted = {(row.kind, row.name): f"{row.size[0]}x{row.size[1]}" if row.shown else "asset-refused" for row in files}
    found = {(row.kind, row.name): verdict(tmp_path / "picture", row) for row in files}

    assert {row: said for row, said in found.items() if said != wanted[row]} == {}


def by_pillow(data: bytes) -> np.ndarray:
    """Upright, opaque on white, three bands."""
    image = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGBA")
    return np.asarray(PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def quarters(pixels: np.ndarray) -> np.ndarray:
    """The mean colour of each quarter."""
    halves = (part for rows_ in np.array_split(pixels, 2, axis=0) for part in np.array_split(rows_, 2, axis=1))
    return np.array([part.reshape(-1, 3).mean(axis=0) for part in halves if part.size])


def test_what_is_shown_looks_as_another_decoder_shows_it(
    tmp_path: Path, files: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned, flattened and whole. Pillow converts no profile: those of other colours have tests of their own."""
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # without its end marker, as browsers show it
    unlike = {}
    for row in files:
        if not row.shown or row.name.endswith(("-p3", "-cmyk")) or min(row.size) == 1:
            continue
        path = tmp_path / "picture"
        path.write_bytes(row.data)
        source = check_source(path)
        recipe = Recipe("odd", source.name, 320, round(320 * row.size[1] / row.size[0]), "jpeg", "high")
        ours = quarters(decoded(render(row.data, source, recipe)))
        difference = float(np.abs(ours - quarters(by_pillow(row.data))).max())
        if difference > ALIKE:
            unlike[row.kind, row.name] = difference
    assert unlike == {}


async def verdict_of(pool: RenderProcesses, path: Path) -> tuple[int, int] | str:
    """What a render process says of a file."""
    try:
        return (await pool.check(path, path.parent))[:2]
    except Rejected as error:
        return error.code


def test_none_costs_a_render_process_its_life(tmp_path: Path, files: list[Row]) -> None:
    """Each sixth through a real one: refused or taken there too, and it is still the same process."""

    async def work() -> None:
        pool = RenderProcesses(1)
        try:
            for number, row in enumerate(files[::6]):
                (tmp_path / str(number)).write_bytes(row.data)
                said = await verdict_of(pool, tmp_path / str(number))
                assert said == (row.size if row.shown else "asset-refused"), row.name
            assert (pool.lost, len(pool.pids)) == (0, 1)
        finally:
            await pool.close()

    asyncio.run(work())
