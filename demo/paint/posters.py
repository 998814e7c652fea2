"""Flat, lit illustrations: one thing per picture, drawn for wide banners (middle third) and square tiles (middle)."""

import numpy as np

from demo.paint.canvas import HEIGHT, WIDTH, Array, colour, filmic, flat, glow, grid, over, vignette
from demo.paint.noise import Noise
from demo.paint.vector import blur, drawing, fade, onto, path, specks

GROUND = 628  # where things stand in a banner, of 1000
LIGHT = (0.72, 0.42)


def _wall(left: str, right: str, light: str, at: tuple[float, float] = LIGHT) -> Array:
    """A background that turns from one colour to another, lit from a point."""
    down, across = grid(HEIGHT, WIDTH)
    turn = np.clip(across * 0.8 + down * 0.25, 0, 1)[..., None]
    picture = np.asarray(colour(left) * (1 - turn) + colour(right) * turn, np.float32)
    glow(picture, *at, 0.3, light, 0.75, 1.2)
    return picture


def _hills(shades: tuple[str, ...], seed: int) -> str:
    """Rolling ground in layers, nearest last."""
    random = np.random.default_rng(seed)
    parts = []
    for rank, shade in enumerate(shades):
        row = GROUND - 70 + 48 * rank
        a, b, c, d = (row + random.uniform(-46, 30) * (1 - rank / len(shades)) for _ in range(4))
        line = f"M0 {a:.0f} C400 {b:.0f} 700 {c:.0f} 1000 {row} S1350 {d:.0f} 1500 {row} V1000 H0 Z"
        parts.append(path(line, shade))
    return "".join(parts)


def _shadow(x: float, wide: float, reach: float) -> str:
    """A long soft shadow on the ground, away from a low light on the right."""
    defs = fade("cast", [(0, "#000", 0), (1, "#000", 0.42)], 1, 0) + blur("soft", 7)
    near, far = (
        f"M{x + wide} {GROUND} L{x} {GROUND}",
        f"L{x - reach} {GROUND + 46} L{x + wide - reach * 0.6} {GROUND + 58}",
    )
    return f"<defs>{defs}</defs>" + path(f"{near} {far} Z", "url(#cast)", 'filter="url(#soft)"')


def _banner(picture: Array, thing: str, hills: tuple[str, ...], shadow: tuple[float, float, float]) -> Array:
    down, across = grid(HEIGHT, WIDTH)
    disc = np.clip((0.148 - np.hypot(across - 0.715, (down - 0.475) * HEIGHT / WIDTH)) * 500, 0, 1)
    picture += (1 - picture) * (disc * 0.30)[..., None]
    onto(picture, _hills(hills, seed=len(thing)) + _shadow(*shadow))
    drawing(picture, thing)
    vignette(picture, 0.3)
    return filmic(picture, 0.8)


def tent() -> Array:
    """A lit dome tent at dusk."""
    picture = _wall("#2b2a5c", "#e2725b", "#ffd79a", (0.72, 0.55))
    return _banner(picture, "tent", ("#6b3f66", "#4a2f57", "#2d2145"), (900, 330, 420))


def boots() -> Array:
    """A hiking boot in a meadow."""
    picture = _wall("#173f3a", "#d9a441", "#fff0b8")
    return _banner(picture, "boot", ("#3f5b43", "#27443a", "#152e2b"), (930, 300, 380))


def kayak() -> Array:
    """A kayak on turquoise water."""
    picture = _wall("#0c3b66", "#35b6b0", "#eafff2")
    return _banner(picture, "kayak", ("#2c8d9c", "#1d6f88", "#0f4a6b"), (860, 420, 160))


def bike() -> Array:
    """A gravel bike against a warm wall."""
    picture = _wall("#6a1f4c", "#f2765a", "#ffe1a6")
    return _banner(picture, "bike", ("#a83a55", "#7d2a4d", "#4d1a3c"), (880, 400, 420))


def skis() -> Array:
    """Skis and poles in fresh snow."""
    picture = _wall("#20508f", "#a9d8ee", "#ffffff")
    picture = _banner(picture, "skis", ("#bcdcf0", "#dcecf8", "#f6fbff"), (960, 240, 420))
    onto(picture, specks(np.random.default_rng(2), 420, 1000, (1, 4.5), "#fff"))
    return picture


def _contours(seed: int, low: str, high: str, line: str, count: int, strength: float) -> Array:
    """A map: heights in colour, contour lines over them."""
    down, across = grid(HEIGHT, WIDTH)
    height = Noise(seed).clouds(across * 3.4, down * 2.4, 4, 0.42)
    picture = np.asarray(colour(low) + (colour(high) - colour(low)) * height[..., None], np.float32)
    slope = np.hypot(*np.gradient(height * count))
    away = np.abs((height * count) % 1.0 - 0.5)
    drawn = np.clip(1.6 - (0.5 - away) / np.maximum(slope, 1e-4), 0, 1) * strength
    over(picture, flat(line), drawn.astype(np.float32))
    return picture


def banner_calm() -> Array:
    """The default banner: a map in quiet greens."""
    picture = _contours(44, "#27454b", "#8fb3a3", "#e9f0e0", 16, 0.34)
    vignette(picture, 0.3)
    return filmic(picture, 0.5)


def tile_calm() -> Array:
    """The default tile: the same map in sand."""
    picture = _contours(71, "#b9a58b", "#efe6d2", "#7d6a55", 14, 0.4)
    vignette(picture, 0.2)
    return filmic(picture, 0.5)


def tile_compass() -> Array:
    """Arm a: a compass rose on coral."""
    picture = _contours(12, "#d8432f", "#ff8f6b", "#ffc9a8", 13, 0.35)
    glow(picture, 0.5, 0.45, 0.22, "#fff0d0", 0.5, 1.3)
    drawing(picture, "compass")
    vignette(picture, 0.3)
    return filmic(picture, 0.7)


def tile_moon() -> Array:
    """Arm b: a poster of peaks under a large moon, in teal."""
    picture = _wall("#06232f", "#0f6b6f", "#8ff0d6", (0.5, 0.36))
    onto(picture, specks(np.random.default_rng(31), 260, 520, (0.8, 2.6), "#e8fff6"))
    drawing(picture, "moon")
    vignette(picture, 0.4)
    return filmic(picture, 0.7)


def tile_sunburst() -> Array:
    """Arm c: an enamel mug in front of sun rays, in yellow."""
    down, across = grid(HEIGHT, WIDTH)
    angle = np.arctan2(down - 0.52, (across - 0.5) * WIDTH / HEIGHT)
    rays = np.clip(np.sin(angle * 12) * 14 + 0.5, 0, 1)[..., None]
    picture = np.asarray(colour("#ffb01f") * rays + colour("#ffd45e") * (1 - rays), np.float32)
    glow(picture, 0.5, 0.52, 0.16, "#fffbe0", 0.9, 1.1)
    drawing(picture, "mug")
    vignette(picture, 0.25)
    return filmic(picture, 0.6)
