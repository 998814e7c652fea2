"""Pictures in layers: a forest in mist and a city at night."""

import numpy as np

from demo.paint.canvas import Array, filmic, glow, grid, over, ramp, sky, stars, vignette
from demo.paint.landscapes import HEIGHT, WIDTH
from demo.paint.noise import Noise
from demo.paint.vector import blur, fade, onto, path, pine


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
    onto(picture, _clearing())
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
    over(picture, ramp(np.zeros(1, np.float32), [(0, "#f1efd6"), (1, "#f1efd6")])[None], np.maximum(veil, below * 0.75))


def _beams(picture: Array, x: float, y: float) -> None:
    """Shafts of light that spread from the sun."""
    down, across = grid(HEIGHT, WIDTH)
    angle = np.arctan2((down - y) * HEIGHT / WIDTH, across - x)
    shafts = Noise(12).clouds(angle * 9, np.zeros_like(angle), 3)
    reach = np.exp(-np.hypot(across - x, (down - y) * 0.7) * 2.2) * np.clip((down - y) * 6, 0, 1)
    light = np.clip((shafts - 0.45) * 2.4, 0, 1) * reach * 0.5
    picture += (1 - picture) * light[..., None] * np.array([1.0, 0.95, 0.72], np.float32)


def _clearing() -> str:
    """A lit tent on dark ground."""
    defs = fade("canvas", [(0, "#ffdf8e", 1), (1, "#e8742c", 1)]) + fade("dark", [(0, "#c9591f", 1), (1, "#7d2d16", 1)])
    tent = path("M742 885 L832 762 L922 885 Z", "url(#canvas)") + path(
        "M832 762 L922 885 L968 868 L858 756 Z", "url(#dark)"
    )
    door = path("M812 885 L832 800 L852 885 Z", "#5a2214") + path(
        "M832 762 L858 756", extra='stroke="#3a1710" stroke-width="3"'
    )
    ground = path("M0 880 Q420 846 760 884 T1500 872 L1500 1000 L0 1000 Z", "#0a2422")
    return f"<defs>{defs}</defs>{ground}{tent}{door}"


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
    onto(picture, _bank_and_cyclist())
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
    over(
        water, ramp(np.zeros(1, np.float32), [(0, "#120f38"), (1, "#120f38")])[None], 0.12 * np.ones_like(down * across)
    )
    picture[edge:] = water


def _bank_and_cyclist() -> str:
    """Foreground: the path along the river and somebody riding home."""
    ink = "#05061a"
    line = f'stroke="{ink}" stroke-linecap="round" stroke-linejoin="round" fill="none"'
    bank = path("M0 905 Q500 868 900 900 T1500 880 L1500 1000 L0 1000 Z", ink)
    rail = "".join(f'<rect x="{x}" y="852" width="4" height="60" fill="{ink}"/>' for x in range(20, 1500, 74))
    rail += f'<path d="M0 856 H1500" {line} stroke-width="5"/>'
    wheels = "".join(f'<circle cx="{x}" cy="846" r="46" {line} stroke-width="6"/>' for x in (1010, 1136))
    frame = f'<path d="M1010 846 L1046 772 L1112 776 L1068 846 Z M1046 772 L1068 846 M1112 776 L1136 846 M1106 756 L1112 776 M1100 752 L1126 750 M1036 768 L1056 768" {line} stroke-width="7"/>'
    rider = f'<path d="M1050 762 L1082 806 L1066 848" {line} stroke-width="17"/>'
    rider += f'<path d="M1046 764 L1086 690 L1118 752" {line.replace(ink, "#ff6b4a")} stroke-width="17"/>'
    head = f'<circle cx="1104" cy="664" r="19" fill="{ink}"/><path d="M1083 660 Q1104 632 1126 658 Z" fill="#ff5a4a"/>'
    light = f"<defs>{blur('soft', 9)}{fade('beam', [(0, '#fff3c0', 0.75), (1, '#fff3c0', 0)], 1, 0)}</defs>"
    light += '<path d="M1128 768 L1400 800 L1400 900 Z" fill="url(#beam)" filter="url(#soft)"/>'
    light += '<circle cx="1128" cy="770" r="9" fill="#fffbe2"/><circle cx="1028" cy="790" r="6" fill="#ff3b3b"/>'
    return bank + rail + light + wheels + frame + rider + head


def _bokeh(picture: Array, random: np.random.Generator) -> None:
    """Lamps too near to be sharp."""
    spots = "".join(
        f'<circle cx="{random.uniform(-20, 620):.0f}" cy="{random.uniform(700, 990):.0f}" r="{random.uniform(12, 44):.0f}" '
        f'fill="{_LAMPS[random.integers(4)]}" opacity="{random.uniform(0.06, 0.22):.2f}"/>'
        for _ in range(26)
    )
    onto(picture, spots)
