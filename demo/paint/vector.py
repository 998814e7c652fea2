"""Vector drawing: SVG text in, float pixels out (librsvg, through libvips)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyvips

from demo.paint.canvas import Array, over

DRAWINGS = Path(__file__).parent / "drawings"


def onto(picture: Array, body: str) -> None:
    """Draw SVG elements over a picture in place; coordinates are pixels of the picture."""
    height, width = picture.shape[:2]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{body}</svg>'
    _lay(picture, svg.encode())


def drawing(picture: Array, name: str) -> None:
    """Lay one of the files under `drawings/` over a picture in place."""
    _lay(picture, (DRAWINGS / f"{name}.svg").read_bytes())


def _lay(picture: Array, svg: bytes) -> None:
    pixels = pyvips.Image.svgload_buffer(svg).numpy().astype(np.float32) / 255
    over(picture, pixels[..., :3], pixels[..., 3])


def specks(
    random: np.random.Generator, count: int, until: float, sizes: tuple[float, float], fill: str, across: float = 1500
) -> str:
    """Dots strewn over the rows down to `until`: stars, snow."""
    return "".join(
        f'<circle cx="{random.uniform(0, across):.0f}" cy="{random.uniform(0, until):.0f}" '
        f'r="{random.uniform(*sizes):.1f}" fill="{fill}" opacity="{random.uniform(0.3, 1):.2f}"/>'
        for _ in range(count)
    )


def polygon(points: Iterable[tuple[float, float]], fill: str, extra: str = "") -> str:
    """A closed shape."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{corners}" fill="{fill}" {extra}/>'


def path(shape: str, fill: str = "none", extra: str = "") -> str:
    """A path by its SVG commands."""
    return f'<path d="{shape}" fill="{fill}" {extra}/>'


def fade(name: str, stops: Iterable[tuple[float, str, float]], x2: float = 0, y2: float = 1) -> str:
    """A linear gradient to fill with as `url(#name)`; stops are (place, colour, opacity)."""
    marks = "".join(f'<stop offset="{at}" stop-color="{paint}" stop-opacity="{alpha}"/>' for at, paint, alpha in stops)
    return f'<linearGradient id="{name}" x1="0" y1="0" x2="{x2}" y2="{y2}">{marks}</linearGradient>'


def blur(name: str, amount: float) -> str:
    """A blur to use as `filter="url(#name)"`."""
    return (
        f'<filter id="{name}" x="-50%" y="-50%" width="200%" height="200%">'
        f'<feGaussianBlur stdDeviation="{amount}"/></filter>'
    )


def pine(random: np.random.Generator, x: float, foot: float, tall: float, fill: str) -> str:
    """One conifer: ragged tiers that widen downwards."""
    wide, tiers = tall * (0.19 + 0.05 * random.random()), 9
    left, right = [], []
    for tier in range(1, tiers + 1):
        down = tier / tiers
        reach = wide * down**0.85 * (0.85 + 0.3 * random.random())
        y = foot - tall * (1 - down * 0.93)
        left += [(x - reach, y + tall * 0.025 * random.random()), (x - reach * 0.5, y - tall * 0.012)]
        right += [(x + reach, y + tall * 0.025 * random.random()), (x + reach * 0.5, y - tall * 0.012)]
    trunk = [(x + tall * 0.012, foot), (x - tall * 0.012, foot)]
    return polygon([(x, foot - tall), *right, *trunk, *reversed(left)], fill)
