"""Source pictures made for tests: a plain field with one planted mark, in any format."""

from pathlib import Path

import numpy as np

from consent_core.formats.catalogue import Asset, Catalogue, Experiment, Slot
from consent_core.formats.rendition import CENTRE, Focal
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.sources import check_source

MARK = (250, 10, 10)
FIELD = (90, 120, 110)


def field(width: int = 600, height: int = 400, mark: tuple[float, float] | None = None) -> Image:
    """A field with, if asked, a red square of a fortieth of the width around a point (parts of width and height)."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = FIELD
    if mark is not None:
        half = max(2, width // 80)
        x, y = int(mark[0] * (width - 1)), int(mark[1] * (height - 1))
        pixels[max(0, y - half) : y + half, max(0, x - half) : x + half] = MARK
    return Image.new_from_array(pixels, interpretation="srgb")


def write_jpeg(path: Path, image: Image, **options: object) -> Path:
    image.jpegsave(str(path), Q=92, **options)
    return path


def decoded(body: bytes) -> np.ndarray:
    return Image.new_from_buffer(body, "").numpy()


def loaded(directory: Path, image: Image | None = None, focal: Focal = CENTRE) -> LoadedCatalogue:
    """One slot with one picture, checked."""
    path = write_jpeg(directory / "field.jpg", field() if image is None else image)
    asset = Asset("field", "field.jpg", ("a",), ("Plain words", "Other <b>words</b> & more"), focal, "a field")
    slot = Slot("hero", "contextual", (), 640, 360, "field", ("field",), "bottom-left", (0, 0, 0), None)
    return LoadedCatalogue(Catalogue({"hero": slot}, {"field": asset}), {"field": check_source(path)})


__all__ = ["FIELD", "MARK", "Asset", "Catalogue", "Experiment", "Slot", "decoded", "field", "loaded", "write_jpeg"]
