"""Colour and light on arrays of floats (rows, columns, 3), values 0 to 1 in display (sRGB) space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1500, 1000  # all pictures are painted at this size

Array = NDArray[np.floating[Any]]
Stops = Sequence[tuple[float, str]]


def colour(text: str) -> Array:
    """`#rrggbb` as three floats."""
    return np.asarray(np.frombuffer(bytes.fromhex(text[1:]), np.uint8) / 255, np.float32)


def flat(text: str) -> Array:
    """One colour that fits any picture."""
    return colour(text)[None, None, :]


def ramp(position: Array, stops: Stops) -> Array:
    """Colours along stops (position 0 to 1, `#rrggbb`), one per value of `position`."""
    places = [place for place, _ in stops]
    shades = np.stack([colour(text) for _, text in stops])
    return np.stack([np.interp(position, places, shades[:, band]) for band in range(3)], -1).astype(np.float32)


def grid(height: int, width: int) -> tuple[Array, Array]:
    """Down (rows, 1) and across (1, columns), both 0 to 1."""
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    return down, across


def sky(height: int, width: int, stops: Stops) -> Array:
    """A vertical gradient."""
    down, _ = grid(height, width)
    return np.repeat(ramp(down[:, 0], stops)[:, None, :], width, axis=1)


def over(picture: Array, paint: Array, mask: Array) -> None:
    """Lay `paint` over `picture` in place, as far as `mask` (0 to 1) covers."""
    picture += (paint - picture) * mask[..., None]


def glow(picture: Array, x: float, y: float, radius: float, paint: str, strength: float, power: float = 2.0) -> None:
    """Add light around a point in place; `radius` is a part of the width. Never burns out (screen blending)."""
    height, width = picture.shape[:2]
    down, across = grid(height, width)
    distance = np.sqrt((across - x) ** 2 + ((down - y) * height / width) ** 2) / radius
    light = strength / (1 + distance**2) ** power
    picture += (1 - picture) * (light[..., None] * colour(paint))


def stars(picture: Array, random: np.random.Generator, count: int, until: float) -> None:
    """Points of light in place, fading out towards `until` (part of the height)."""
    height, width = picture.shape[:2]
    rows = (random.random(count) ** 1.3 * until * height).astype(int)
    columns = random.integers(1, width - 1, count)
    size = random.random(count).astype(np.float32) ** 6
    fade = 1 - rows / (until * height)
    tint = colour("#ffffff") * 0.8 + random.random((count, 3)).astype(np.float32) * 0.2
    light = ((0.15 + size) * fade).astype(np.float32)[:, None] * tint
    for row, column, part in ((0, 0, 1.0), (0, 1, 0.4), (0, -1, 0.4), (1, 0, 0.4), (-1, 0, 0.4)):
        np.maximum.at(picture, (np.clip(rows + row, 0, height - 1), columns + column), light * part)


def vignette(picture: Array, strength: float = 0.35) -> None:
    """Darken the corners in place."""
    down, across = grid(*picture.shape[:2])
    picture *= (1 - strength * ((across - 0.5) ** 2 + (down - 0.5) ** 2) * 2)[..., None]


def filmic(picture: Array, contrast: float = 1.0) -> Array:
    """A soft S curve: richer middle, shoulders that never clip."""
    value = np.clip(picture, 0, 1)
    return value + contrast * (value * value * (3 - 2 * value) - value) * 0.5
