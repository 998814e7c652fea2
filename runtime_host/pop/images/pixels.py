"""Pixels: a checked source and a recipe in, encoded bytes out. The same recipe always gives the same bytes.

Order (libvips' developer checklist): shrink while loading, crop, colours, copy, encode. Synchronous; libvips releases
the interpreter lock while it works, so callers run this in threads.
"""

import math

from consent_core.errors import Unavailable
from consent_core.formats.rendition import Adjustment, Focal, Recipe
from runtime_host.pop.images.lettering import letter
from runtime_host.pop.images.libvips import Image, VipsError
from runtime_host.pop.images.sources import Source

CONTENT_TYPES = {"avif": "image/avif", "webp": "image/webp", "jpeg": "image/jpeg"}

# Q per quality step. Standard gives about the same visible quality in each format; `low` answers `Save-Data`.
Q = {
    "avif": {"low": 45, "standard": 58, "high": 68},
    "webp": {"low": 62, "standard": 77, "high": 86},
    "jpeg": {"low": 62, "standard": 80, "high": 88},
}
AVIF_EFFORT = 0  # effort 4, the default, costs 50 times the time for 12 % fewer bytes (docs/images.md)
WEBP_EFFORT = 2

Box = tuple[int, int, int, int]  # left, top, width, height

# Weights of red, green and blue in brightness as seen (ITU-R BT.709).
_LUMA = (0.2126, 0.7152, 0.0722)
_WARMTH = (0.20, 0.02, -0.25)  # how much full warmth adds to red, green and blue


def render(data: bytes, source: Source, recipe: Recipe) -> bytes:
    """Encoded bytes of a recipe. `data`: the checked bytes of `source`.

    Raises: Unavailable("render-failed") when libvips gives up on a source that was good at start.
    """
    try:
        image = cropped(data, source, (recipe.width, recipe.height), recipe.focal)
        image = adjusted(image, recipe.adjustment)
        if recipe.overlay is not None:
            image = letter(image, recipe.overlay)
        return encode(image, recipe.format, recipe.quality)
    except VipsError as error:
        raise Unavailable("render-failed", f"{recipe.asset}: could not be rendered") from error


def render_source(source: Source, recipe: Recipe) -> bytes:
    """The same, with the source's own bytes. Raises: Unavailable, also "asset-unavailable"."""
    return render(source.read(), source, recipe)


def cropped(data: bytes, source: Source, target: tuple[int, int], focal: Focal) -> Image:
    """The source resized to cover `target`, then cut to it around the focal point; sRGB, three bands, 8 bits."""
    scaled, (left, top, width, height) = crop_box((source.width, source.height), target, focal)
    profile = {"output_profile": "srgb"} if source.converts else {}
    image = Image.thumbnail_buffer(data, scaled[0], height=scaled[1], size="force", **profile)
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    return image.crop(left, top, width, height)


def crop_box(size: tuple[int, int], target: tuple[int, int], focal: Focal) -> tuple[tuple[int, int], Box]:
    """The size that just covers `target`, and the box in it closest to being centred on the focal point."""
    width, height = target
    scale = max(width / size[0], height / size[1])
    scaled = max(width, round(size[0] * scale)), max(height, round(size[1] * scale))
    left = _clamp(math.floor(scaled[0] * focal.x / 1000 - width / 2), scaled[0] - width)
    top = _clamp(math.floor(scaled[1] * focal.y / 1000 - height / 2), scaled[1] - height)
    return scaled, (left, top, width, height)


def adjusted(image: Image, adjustment: Adjustment) -> Image:
    """Brightness, saturation and warmth as one 3 × 3 matrix per pixel; no work at all for zeros."""
    if adjustment == Adjustment():
        return image
    return image.recomb(Image.new_from_array(colour_matrix(adjustment))).cast("uchar")


def colour_matrix(adjustment: Adjustment) -> list[list[float]]:
    """Rows give the new red, green and blue. -100 brightness is black, -100 saturation is grey."""
    gain = 1 + adjustment.brightness / 100
    saturation = 1 + adjustment.saturation / 100
    return [
        [
            gain * (1 + warm * adjustment.warmth / 100) * ((1 - saturation) * luma + saturation * (row == column))
            for column, luma in enumerate(_LUMA)
        ]
        for row, warm in enumerate(_WARMTH)
    ]


def encode(image: Image, format: str, quality: str) -> bytes:
    """Bytes in a settled format, without any metadata. Raises: ValueError for `auto`."""
    if format not in Q:
        raise ValueError(f"format: expected one of {', '.join(Q)}, got {format}")
    q = Q[format][quality]
    encoded: bytes
    if format == "avif":
        encoded = image.heifsave_buffer(compression="av1", Q=q, effort=AVIF_EFFORT, bitdepth=8, keep="none")
    elif format == "webp":
        encoded = image.webpsave_buffer(Q=q, effort=WEBP_EFFORT, keep="none")
    else:
        encoded = image.jpegsave_buffer(Q=q, optimize_coding=True, keep="none")
    return encoded


def _clamp(value: int, most: int) -> int:
    return max(0, min(value, most))
