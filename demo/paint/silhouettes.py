"""Pictures in layers: a forest in mist and a city at night."""

import numpy as np

from demo.paint.canvas import HEIGHT, WIDTH, Array, filmic, flat, glow, grid, over, sky, stars, vignette
from demo.paint.noise import Noise
from demo.paint.vector import drawing, onto, pine


def forest_mist() -> Array:
    """Ranks of firs in morning mist, sun through the trees, a tent in the clearing."""
    random, noise = np.random.default_rng(4), Noise(9)
    picture = sky(HEIGHT, WIDTH, [(0, "#bcd3c4"), (0.4, "#f4e7b8"), (0.62, "#f9efd0"), (1, "#d7e2c8")])
    glow(picture, 0.66, 0.34, 0.16, "#fffbe0", 1.0, 1.4)
    shades = ("#a9c0a4", "#86a88d", "#5f8a74", "#3d6b5b", "#204a41", "#0d2c29")
    for rank, shade in enumerate(shades):
        depth = rank / (len(shades) - 1)
        foot, tall, count = 560 + 330 * depth**1.15, 190 + 560 * depth**1.4, int(70 - 55 * depth)
        onto(picture, _rank(random, foot, tall, count, shade, gap=rank >= 3))
        if rank < 4:
            _bank(picture, noise, rank, (foot - 10) / HEIGHT)
    _beams(picture, 0.66, 0.34)
    drawing(picture, "clearing")
    glow(picture, 0.555, 0.85, 0.05, "#ffc874", 0.75, 1.6)
    vignette(picture, 0.4)
    return filmic(picture)


def _rank(random: np.random.Generator, foot: float, tall: float, count: int, shade: str, *, gap: bool) -> str:
    trees = []
    for x in np.linspace(-60, WIDTH + 60, count) + random.normal(0, 600 / count, count):
        middle = abs(x / WIDTH - 0.56)
        if gap and middle < 0.2:
            continue
        size = tall * (0.65 + 0.5 * random.random()) * (0.75 + 0.6 * min(middle, 0.5))
        trees.append(pine(random, x, foot + 40 * random.random(), size, shade))
    return "".join(trees) + f'<rect x="0" y="{foot:.0f}" width="{WIDTH}" height="{HEIGHT}" fill="{shade}"/>'


def _bank(picture: Array, noise: Noise, rank: int, row: float) -> None:
    """Mist that hides the feet of one rank."""
    down, across = grid(HEIGHT, WIDTH)
    drift = noise.clouds(across * 4 + 3 * rank, down * 9 + rank, 4) - 0.5
    veil = np.clip(1 - np.abs((down - row + 0.09 * drift) / 0.10), 0, 1) ** 1.2 * 0.8
    below = np.clip((down - row) / 0.05, 0, 1)
    over(picture, flat("#f1efd6"), np.maximum(veil, below * 0.75))


def _beams(picture: Array, x: float, y: float) -> None:
    """Shafts of light that spread from the sun."""
    down, across = grid(HEIGHT, WIDTH)
    angle = np.arctan2((down - y) * HEIGHT / WIDTH, across - x)
    shafts = Noise(12).clouds(angle * 9, np.zeros_like(angle), 3)
    reach = np.exp(-np.hypot(across - x, (down - y) * 0.7) * 2.2) * np.clip((down - y) * 6, 0, 1)
    light = np.clip((shafts - 0.45) * 2.4, 0, 1) * reach * 0.5
    picture += (1 - picture) * light[..., None] * np.array([1.0, 0.95, 0.72], np.float32)


def city_night() -> Array:
    """A skyline over a river, and a cyclist on the bank."""
    random = np.random.default_rng(17)
    picture = sky(
        HEIGHT,
        WIDTH,
        [(0, "#070a24"), (0.3, "#1b1650"), (0.5, "#552a7c"), (0.62, "#c2497c"), (0.68, "#ff8a66"), (1, "#ff8a66")],
    )
    stars(picture, np.random.default_rng(6), 500, 0.45)
    glow(picture, 0.34, 0.66, 0.42, "#ff9a6a", 0.8, 1.3)
    for row, tall, wide, wall, lit in _BLOCKS:
        onto(picture, _block(random, row, tall, wide, wall, lit))
    _river(picture, 0.68)
    drawing(picture, "cyclist")
    _bokeh(picture, random)
    vignette(picture, 0.45)
    return filmic(picture)


# foot row, tallest, widest, wall colour, share of lit windows: far to near
_BLOCKS = (
    (680, 260, 60, "#6c3a78", 0.10),
    (682, 350, 74, "#3f2560", 0.22),
    (684, 300, 96, "#1a1640", 0.42),
)
_LAMPS = ("#ffd27a", "#ffe9b8", "#ffb35c", "#8fd8ff")


def _block(random: np.random.Generator, foot: float, tallest: float, widest: float, wall: str, lit: float) -> str:
    parts, x = [], -20.0
    while x < WIDTH:
        wide = widest * (0.5 + 0.7 * random.random())
        tall = tallest * (0.3 + 0.7 * random.random() ** 1.6) * (1.15 - 0.7 * abs(x / WIDTH - 0.6))
        parts.append(f'<rect x="{x:.0f}" y="{foot - tall:.0f}" width="{wide:.0f}" height="{tall:.0f}" fill="{wall}"/>')
        if random.random() < 0.3:
            parts.append(
                f'<rect x="{x + wide / 2:.0f}" y="{foot - tall - 46:.0f}" width="3" height="46" fill="{wall}"/>'
            )
        parts += _windows(random, x, foot - tall, wide, tall, lit)
        x += wide * (0.85 + 0.3 * random.random())
    return "".join(parts)


def _windows(random: np.random.Generator, x: float, top: float, wide: float, tall: float, lit: float) -> list[str]:
    return [
        f'<rect x="{x + column:.0f}" y="{top + row:.0f}" width="4" height="6" fill="{_LAMPS[random.integers(4)]}" '
        f'opacity="{0.5 + 0.5 * random.random():.2f}"/>'
        for row in np.arange(10, tall - 8, 13)
        for column in np.arange(6, wide - 8, 10)
        if random.random() < lit
    ]


def _river(picture: Array, shore: float) -> None:
    """The city upside down, drawn out and broken by ripples."""
    edge = int(shore * HEIGHT)
    down, across = grid(HEIGHT - edge, WIDTH)
    ripple = (Noise(3).clouds(across * 9, down**0.6 * 50, 4) - 0.5) * (0.15 + down) * 170
    rows = np.clip(edge - 1 - np.arange(HEIGHT - edge)[:, None] * 1.25 - ripple, 0, edge - 1).astype(int)
    water = picture[rows, np.arange(WIDTH)[None, :]] * (1.1 - 0.35 * down)[..., None]
    over(water, flat("#120f38"), 0.12 * np.ones_like(down * across))
    picture[edge:] = water


def _bokeh(picture: Array, random: np.random.Generator) -> None:
    """Lamps too near to be sharp."""
    spots = "".join(
        f'<circle cx="{random.uniform(-20, 620):.0f}" cy="{random.uniform(700, 990):.0f}" '
        f'r="{random.uniform(12, 44):.0f}" '
        f'fill="{_LAMPS[random.integers(4)]}" opacity="{random.uniform(0.06, 0.22):.2f}"/>'
        for _ in range(26)
    )
    onto(picture, spots)
