"""The shop's landscapes. Each is a function of nothing: the same picture every time."""

import numpy as np

from demo.paint.canvas import HEIGHT, WIDTH, Array, filmic, flat, glow, grid, over, ramp, sky, stars, vignette
from demo.paint.noise import Noise
from demo.paint.terrain import Ground, View, haze, lit, look, steepness

Band = list[tuple[float, str]]


def _air(stops: Band) -> Array:
    """What distance fades to, from left to right."""
    return ramp(np.linspace(0, 1, WIDTH, dtype=np.float32), stops)[None]


def _paint_ground(picture: Array, ground: Ground, shades: Array, air: Array, veil: Array) -> None:
    seen = ground.pick(shades)
    over(seen, air, veil)
    over(picture, seen, ground.seen)


def _rock_and_snow(ground: Ground, noise: Noise, light: Array, line: float, rock: Band, ice: Band) -> Array:
    ragged = noise.clouds(ground.x * 2, ground.z * 2, 4) - 0.5
    cover = np.clip((ground.y - line + 1.4 * ragged) / 0.5, 0, 1) * np.clip(1.7 - steepness(ground) * 3.4, 0, 1)
    shades = ramp(light, rock)
    over(shades, ramp(light, ice), cover)
    return shades


def alpine_dawn() -> Array:
    """First sun on a range above a valley full of mist."""
    noise = Noise(7)

    def heights(x: Array, z: Array) -> Array:
        rise = np.clip((z - 3) / 16, 0, 1) ** 1.1
        peak = np.exp(-(np.sqrt(((x - 4.6) / 4.2) ** 2 + ((z - 22) / 6) ** 2) ** 1.25))
        return noise.mountains(x * 0.13 + 5.2, z * 0.13 + 1.7) * (0.5 + 2.9 * rise) + peak * 3.3

    ground = look(View(WIDTH, HEIGHT, eye=1.75, horizon=0.66, field=0.56, near=1.2, far=80), heights)
    light = np.clip(lit(ground, (0.9, 0.32, -0.1)) * 1.25, 0, 1)
    shades = _rock_and_snow(
        *(ground, noise, light, 1.75),
        [(0, "#141b38"), (0.35, "#3d3a5c"), (0.75, "#b5705c"), (1, "#ffc48c")],
        [(0, "#3d4f93"), (0.3, "#7f78b8"), (0.6, "#ff9f88"), (1, "#ffeacb")],
    )
    picture = sky(
        HEIGHT, WIDTH, [(0, "#1d2f6f"), (0.2, "#5061a8"), (0.4, "#b48bb8"), (0.56, "#ffb593"), (1, "#ffdfae")]
    )
    stars(picture, np.random.default_rng(3), 700, 0.3)
    glow(picture, 0.93, 0.56, 0.2, "#fff0c8", 0.9)
    air = _air([(0, "#8a8cc8"), (0.45, "#c99bb8"), (0.8, "#ffc9a4"), (1, "#ffd7a8")])
    z, y = ground.pick(ground.z), ground.pick(ground.y)
    mist = np.clip((0.75 - y) / 0.7, 0, 1) * np.clip((z - 3.5) / 6, 0, 1) * 0.85
    _paint_ground(picture, ground, shades, air, np.maximum(haze(z, 42), mist))
    vignette(picture, 0.3)
    return filmic(picture)


def aurora_snow() -> Array:
    """Northern lights over a frozen range."""
    noise, curtain = Noise(21), Noise(5)

    def heights(x: Array, z: Array) -> Array:
        rise = np.clip((z - 4) / 14, 0, 1) ** 1.3
        return noise.mountains(x * 0.14 + 9.2, z * 0.14 + 4.1) * (0.22 + 2.7 * rise)

    ground = look(View(WIDTH, HEIGHT, eye=1.35, horizon=0.68, near=0.8, far=60), heights)
    light = np.clip(lit(ground, (-0.5, 0.75, -0.3)) * 1.15, 0, 1)
    shades = _rock_and_snow(
        *(ground, noise, light, 0.1),
        [(0, "#050b1c"), (0.5, "#132745"), (1, "#27597a")],
        [(0, "#0b1a3c"), (0.5, "#1f4a7c"), (0.85, "#3f93a0"), (1, "#9fe8d2")],
    )
    picture = sky(
        HEIGHT, WIDTH, [(0, "#030818"), (0.35, "#081b3a"), (0.6, "#0f3a56"), (0.72, "#1c5a68"), (1, "#1c5a68")]
    )
    stars(picture, np.random.default_rng(11), 2600, 0.66)
    for seed, (base, tilt, reach, low, high, strength) in enumerate(_CURTAINS):
        _curtain(picture, curtain, seed, base, tilt, reach, (low, high), strength)
    z = ground.pick(ground.z)
    _paint_ground(picture, ground, shades, _air([(0, "#1b4f66"), (0.6, "#2f8a86"), (1, "#1f5a70")]), haze(z, 45) * 0.85)
    vignette(picture, 0.35)
    return filmic(picture, 0.8)


# base row, slope across, how far up the rays reach, colours low and high, strength
_CURTAINS = (
    (0.55, -0.22, 0.46, "#3dffa8", "#7a4dff", 0.95),
    (0.40, 0.16, 0.34, "#29f0c0", "#c04dff", 0.55),
    (0.62, 0.08, 0.26, "#7dffb0", "#2bb8ff", 0.45),
)


def _curtain(
    picture: Array,
    noise: Noise,
    seed: int,
    base: float,
    tilt: float,
    reach: float,
    ends: tuple[str, str],
    strength: float,
) -> None:
    down, across = grid(HEIGHT, WIDTH)
    row = np.full_like(across, seed * 7.3)
    fold = noise.clouds(across * 3 + seed, row, 4) - 0.5
    foot = base + tilt * (across - 0.5) + fold * 0.42
    rays = 0.35 + 0.65 * noise.clouds(across * 34 + fold * 20, row + 3, 3) ** 1.5 * 1.6
    up = (foot - down) / (reach * (0.6 + 0.8 * noise.clouds(across * 5, row + 9, 2)))
    body = np.where(up > 0, np.exp(-np.clip(up, 0, 9) * 2.6), np.exp(np.clip(up, -9, 0) * 13))
    light = np.clip(body * rays * strength, 0, 1)
    tint = ramp(np.clip(up, 0, 1).ravel(), [(0, ends[0]), (1, ends[1])]).reshape(*up.shape, 3)
    picture += (1 - picture) * tint * light[..., None]


def desert_dusk() -> Array:
    """Dunes with long shadows."""
    noise = Noise(33)

    def heights(x: Array, z: Array) -> Array:
        wind = x * 0.30 + z * 0.16 + 1.6 * noise.clouds(x * 0.09, z * 0.09, 2)
        crest = np.abs((wind % 1.0) - 0.32)
        dune = np.where((wind % 1.0) < 0.32, 1 - crest / 0.32, np.clip(1 - crest / 0.68, 0, 1) ** 1.6)
        tall = 0.35 + noise.clouds(x * 0.06 + 4, z * 0.06, 2)
        return np.asarray(dune * tall * 0.85 + 0.01 * noise.at(x * 5, z * 14)[0])

    ground = look(View(WIDTH, HEIGHT, eye=1.9, horizon=0.5, near=1.2, far=70, steps=1800), heights)
    light = np.clip(lit(ground, (-0.9, 0.32, 0.25)) * 1.5, 0, 1)
    shades = ramp(light, [(0, "#3a1533"), (0.3, "#7c2f3b"), (0.6, "#e0713a"), (0.85, "#ffb057"), (1, "#ffe09a")])
    picture = sky(
        HEIGHT, WIDTH, [(0, "#233a78"), (0.2, "#7d62a0"), (0.36, "#e58a86"), (0.48, "#ffc27a"), (1, "#ffd99a")]
    )
    stars(picture, np.random.default_rng(8), 300, 0.2)
    glow(picture, 0.2, 0.46, 0.16, "#fff3c4", 1.0, 1.6)
    z = ground.pick(ground.z)
    _paint_ground(picture, ground, shades, _air([(0, "#ffd08a"), (0.5, "#f0a184"), (1, "#c98398")]), haze(z, 34))
    vignette(picture, 0.35)
    return filmic(picture)


def coast_sunset() -> Array:
    """Cliffs and a path of light on the sea."""
    noise = Noise(14)

    def heights(x: Array, z: Array) -> Array:
        shore = np.clip(
            (np.abs(x - 0.4) - 2.1 - 0.09 * z - 1.5 * (noise.clouds(x * 0.2 + 3, z * 0.25, 3) - 0.5)) / 1.0, 0, 1
        )
        return np.asarray(shore**0.6 * (0.5 + 1.5 * noise.mountains(x * 0.2 + 2.2, z * 0.2 + 8.1)) - 0.02)

    ground = look(View(WIDTH, HEIGHT, eye=1.0, horizon=0.5, near=1.0, far=120, steps=800), heights)
    light = np.clip(lit(ground, (0.15, 0.45, 0.75)) * 1.2 + 0.06, 0, 1)
    shades = ramp(light, [(0, "#131a30"), (0.3, "#3b2c43"), (0.6, "#8a5149"), (1, "#ffb27a")])
    over(shades, np.asarray(_wave_colours(ground, noise)), (ground.y < 0).astype(np.float32))
    picture = sky(
        HEIGHT,
        WIDTH,
        [(0, "#22356f"), (0.18, "#6a5a9a"), (0.33, "#d9788a"), (0.45, "#ff9d6b"), (0.5, "#ffd089"), (1, "#ffd089")],
    )
    _streaks(picture, Noise(2), "#ffd0a8", 0.48)
    glow(picture, 0.56, 0.475, 0.11, "#fff4cf", 1.3, 1.5)
    z = ground.pick(ground.z)
    _paint_ground(picture, ground, shades, _air([(0, "#e0938c"), (0.55, "#ffd9a0"), (1, "#e89a86")]), haze(z, 60) * 0.9)
    vignette(picture, 0.35)
    return filmic(picture)


def _wave_colours(ground: Ground, noise: Noise) -> Array:
    """Water: the sky it mirrors, broken by waves, and the sun's path where they tilt the right way."""
    waves = noise.clouds(ground.x * 13, ground.z * 5, 5, 0.6)
    mirror = np.clip(0.15 + ground.z / 45 + (waves - 0.5) * 0.9, 0, 1)
    shades = ramp(mirror.ravel(), [(0, "#152a55"), (0.35, "#4a4a86"), (0.7, "#d87f80"), (1, "#ffc18a")])
    shades = shades.reshape(*mirror.shape, 3)
    path = np.exp(-(((ground.x / ground.z - 0.072) / (0.05 + 0.10 / ground.z)) ** 2)) * np.clip(
        waves * 2.6 - 0.75, 0, 1
    )
    over(shades, np.full_like(shades, (1.0, 0.93, 0.74)), np.clip(path * 1.2, 0, 1))
    return shades


def _streaks(picture: Array, noise: Noise, paint: str, until: float) -> None:
    """Thin high clouds, lit from below."""
    down, across = grid(HEIGHT, WIDTH)
    veil = noise.clouds(across * 3.2 + down * 1.5, down * 13, 5)
    veil = np.clip((veil - 0.5) * 3.2, 0, 1) * np.clip((until - down) / 0.1, 0, 1) * 0.75
    over(picture, flat(paint), veil)


def quiet_valley() -> Array:
    """The default hero: a lake before sunrise, nothing that stands for anybody's interest."""
    noise = Noise(52)

    def heights(x: Array, z: Array) -> Array:
        rise = np.clip((z - 11) / 14, 0, 1) ** 1.2 + np.clip((np.abs(x) - 6) / 9, 0, 1) * np.clip((z - 6) / 8, 0, 1)
        return noise.mountains(x * 0.11 + 2.2, z * 0.11 + 6.1) * 3.0 * np.clip(rise, 0, 1.3) - 0.05

    ground = look(View(WIDTH, HEIGHT, eye=0.9, horizon=0.56, near=1.5, far=70), heights)
    light = np.clip(lit(ground, (-0.5, 0.7, -0.4)), 0, 1)
    shades = ramp(light, [(0, "#22404d"), (0.5, "#3f6a70"), (1, "#8db4a8")])
    picture = sky(HEIGHT, WIDTH, [(0, "#7fa6b8"), (0.3, "#adc9cf"), (0.52, "#e3e6da"), (1, "#e9e7d8")])
    air = _air([(0, "#c3d6d8"), (1, "#dfe4da")])
    z, y = ground.pick(ground.z), ground.pick(ground.y)
    mist = np.clip((0.5 - y) / 0.5, 0, 1) * np.clip((z - 8) / 8, 0, 1) * 0.8
    _paint_ground(picture, ground, shades, air, np.maximum(haze(z, 26), mist))
    _mirror(picture, noise, 0.605, "#5d8794")
    vignette(picture, 0.2)
    return filmic(picture, 0.6)


def _mirror(picture: Array, noise: Noise, shore: float, tint: str) -> None:
    """Below `shore` (part of the height) still water shows what is above it, in place."""
    edge = int(shore * HEIGHT)
    down, across = grid(HEIGHT - edge, WIDTH)
    ripple = (noise.clouds(across * 6, down**0.5 * 60, 3) - 0.5) * down * 46
    rows = np.clip(edge - 1 - (np.arange(HEIGHT - edge)[:, None] * 1.05 + ripple).astype(int), 0, edge - 1)
    water = picture[rows, np.arange(WIDTH)[None, :]]
    over(water, flat(tint), (0.18 + 0.35 * down) * np.ones_like(across))
    picture[edge:] = water
