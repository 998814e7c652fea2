"""Pictures for a new project: evening skies over hills, one palette each, so that a swap is seen at a glance."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

WIDTH, HEIGHT = 1600, 900
JPEG_QUALITY = 85
LAYERS = 4  # of hills, from far to near

# Name -> sky above, sky at the horizon, nearest hill: `#rrggbb`.
PALETTES = {
    "plain": ("#9fb4c4", "#dfe6ea", "#5d7382"),
    "coast": ("#1f5f8b", "#ffc98b", "#0b3551"),
    "forest": ("#8fbf9f", "#f2f0d0", "#173a2a"),
    "night": ("#10122b", "#5a4a86", "#07081a"),
}

Picture = NDArray[np.float32]


def paint_pictures(folder: Path, names: Iterable[str] = tuple(PALETTES)) -> list[Path]:
    """Write `<name>.jpg` for each palette; the same bytes on every run."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{name}.jpg", _paint(*map(_colour, PALETTES[name]))) for name in names]


def _paint(above: Picture, horizon: Picture, near: Picture) -> Picture:
    down = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    across = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
    picture: Any = above + (horizon - above) * np.minimum(down * 1.6, 1)
    sun = np.clip(1 - np.hypot((across - 0.7) * WIDTH / HEIGHT, down - 0.42) / 0.12, 0, 1) ** 0.35
    picture = picture + (1 - picture) * sun * 0.8
    for layer in range(LAYERS):
        share = (layer + 1) / LAYERS
        ridge = 0.5 + 0.13 * layer + 0.05 * np.sin(across * (5 + 3 * layer) + layer * 2.1)
        picture = np.where(down > ridge, horizon + (near - horizon) * share, picture)
    return np.asarray(picture, np.float32)


def _write(path: Path, picture: Picture) -> Path:
    image: Any = pyvips.Image.new_from_array(np.ascontiguousarray(picture * 255 + 0.5))
    image.cast("uchar").copy(interpretation="srgb").jpegsave(str(path), Q=JPEG_QUALITY, keep="none")
    return path


def _colour(text: str) -> Picture:
    return np.asarray(np.frombuffer(bytes.fromhex(text[1:]), np.uint8)[None, None, :] / 255, np.float32)
