"""Flat, lit illustrations: one thing per picture, drawn for wide banners (middle third) and square tiles (middle)."""

from collections.abc import Callable

import numpy as np

from demo.paint.canvas import Array, Colour, colour, filmic, glow, grid, over, vignette
from demo.paint.landscapes import HEIGHT, WIDTH
from demo.paint.noise import Noise
from demo.paint.vector import blur, fade, onto, path

GROUND = 628  # where things stand in a banner, of 1000


def _wall(left: str, right: str, light: str, at: tuple[float, float]) -> Array:
    """A background that turns from one colour to another, lit from a point."""
    down, across = grid(HEIGHT, WIDTH)
    turn = np.clip(across * 0.8 + down * 0.25, 0, 1)[..., None]
    picture = (colour(left) * (1 - turn) + colour(right) * turn).astype(np.float32)
    glow(picture, *at, 0.3, light, 0.75, 1.2)
    return picture


def _hills(shades: tuple[str, ...], seed: int) -> str:
    """Rolling ground in layers, nearest last."""
    random = np.random.default_rng(seed)
    parts = []
    for rank, shade in enumerate(shades):
        row = GROUND - 70 + 48 * rank
        bend = [row + random.uniform(-46, 30) * (1 - rank / len(shades)) for _ in range(4)]
        parts.append(
            path(
                f"M0 {bend[0]:.0f} C400 {bend[1]:.0f} 700 {bend[2]:.0f} 1000 {row:.0f} S1350 {bend[3]:.0f} 1500 {row:.0f} V1000 H0 Z",
                shade,
            )
        )
    return "".join(parts)


def _shadow(x: float, wide: float, reach: float) -> str:
    """A long soft shadow on the ground, away from a low light on the right."""
    return f"<defs>{fade('cast', [(0, '#000', 0), (1, '#000', 0.42)], 1, 0)}{blur('soft', 7)}</defs>" + path(
        f"M{x + wide} {GROUND} L{x} {GROUND} L{x - reach} {GROUND + 46} L{x + wide - reach * 0.6} {GROUND + 58} Z",
        "url(#cast)",
        'filter="url(#soft)"',
    )


def _banner(
    picture: Array, hills: tuple[str, ...], seed: int, thing: Callable[[], str], shadow: tuple[float, float, float]
) -> Array:
    down, across = grid(HEIGHT, WIDTH)
    disc = np.clip((0.148 - np.hypot(across - 0.715, (down - 0.475) * HEIGHT / WIDTH)) * 500, 0, 1)
    picture += (1 - picture) * (disc * 0.30)[..., None]
    onto(picture, _hills(hills, seed))
    onto(picture, _shadow(*shadow))
    onto(picture, thing())
    vignette(picture, 0.3)
    return filmic(picture, 0.8)


def tent() -> Array:
    """A lit dome tent at dusk."""
    picture = _wall("#2b2a5c", "#e2725b", "#ffd79a", (0.72, 0.55))
    return _banner(picture, ("#6b3f66", "#4a2f57", "#2d2145"), 1, _tent, (900, 330, 420))


def _tent() -> str:
    defs = fade("shell", [(0, "#ffe7a8", 1), (0.6, "#ffae4d", 1), (1, "#e8722c", 1)]) + fade(
        "fly", [(0, "#f4623a", 1), (1, "#a82f2a", 1)]
    )
    shell = path("M880 628 C900 470 1000 388 1070 384 C1150 388 1250 470 1272 628 Z", "url(#shell)")
    fly = path("M1070 384 C1150 388 1250 470 1272 628 L1176 628 C1170 500 1130 420 1070 384 Z", "url(#fly)")
    fly += path("M1070 384 C1000 388 900 470 880 628 L930 628 C950 500 1000 420 1070 384 Z", "#f4623a")
    door = path("M1010 628 C1012 530 1036 470 1064 436 C1092 470 1116 530 1120 628 Z", "#7d2a22") + path(
        "M1064 436 C1092 470 1116 530 1120 628 L1088 628 C1086 550 1080 490 1064 436 Z", "#ffd98a"
    )
    poles = path(
        "M880 628 C900 470 1000 388 1070 384 C1150 388 1250 470 1272 628", extra='stroke="#fff3d6" stroke-width="4"'
    )
    lines = path(
        "M1272 628 L1330 640 M880 628 L822 640 M1232 500 L1340 632",
        extra='stroke="#fff3d6" stroke-width="2.5" opacity=".8"',
    )
    return f"<defs>{defs}</defs>{lines}{shell}{fly}{door}{poles}"


def boots() -> Array:
    """A hiking boot on rock."""
    picture = _wall("#173f3a", "#d9a441", "#fff0b8", (0.72, 0.4))
    return _banner(picture, ("#3f5b43", "#27443a", "#152e2b"), 2, _boots, (930, 300, 380))


def _boots() -> str:
    defs = fade("hide", [(0, "#c97a3d", 1), (1, "#7d3f1d", 1)]) + fade("hide2", [(0, "#9c5628", 1), (1, "#572a14", 1)])
    boot = (
        path(
            "M958 372 C990 360 1050 362 1076 374 C1080 430 1090 470 1130 494 C1190 512 1236 530 1246 584 L1246 604 H952 C944 540 970 470 958 372 Z",
            "url(#hide)",
        )
        + path("M952 604 C946 560 956 520 962 470 C1000 500 1040 560 1044 604 Z", "url(#hide2)")
        + path("M1160 604 C1166 560 1196 534 1224 544 C1240 556 1246 580 1246 604 Z", "#4a2512")
        + path("M950 366 C990 350 1050 352 1082 366 L1080 392 C1050 378 990 378 956 392 Z", "#2f5c55")
        + path(
            "M944 600 H1252 C1256 616 1254 628 1246 632 L1218 632 L1212 622 L1190 632 L1184 622 L1160 632 L1154 622 L1130 632 L1124 622 L1070 622 L1064 632 L1040 622 L1034 632 L1010 622 L1004 632 L980 622 L974 632 H950 C942 628 940 612 944 600 Z",
            "#1d1714",
        )
        + path("M944 598 H1252", extra='stroke="#e8c48a" stroke-width="5" stroke-dasharray="9 5"')
    )
    laces = "".join(
        f'<path d="M{1034 + 17 * k} {404 + 27 * k} L{1084 + 20 * k} {398 + 26 * k}" stroke="#e2503f" stroke-width="8" stroke-linecap="round"/>'
        for k in range(5)
    )
    return f"<defs>{defs}</defs>{boot}{laces}" + path(
        "M1046 372 C1052 440 1090 500 1150 520", extra='stroke="#f0b070" stroke-width="3" opacity=".6"'
    )


def kayak() -> Array:
    """A kayak on turquoise water, seen from the bank."""
    picture = _wall("#0c3b66", "#35b6b0", "#eafff2", (0.74, 0.42))
    return _banner(picture, ("#2c8d9c", "#1d6f88", "#0f4a6b"), 3, _kayak, (860, 420, 160))


def _kayak() -> str:
    defs = fade("hull", [(0, "#ffd24a", 1), (0.55, "#ff8a2b", 1), (1, "#d94a1e", 1)]) + fade(
        "deck", [(0, "#fff0a0", 1), (1, "#ffb83a", 1)]
    )
    hull = path(
        "M790 540 C860 610 980 624 1080 624 C1190 624 1300 606 1370 528 C1290 566 1190 578 1080 578 C970 578 870 572 790 540 Z",
        "url(#hull)",
    )
    deck = path(
        "M790 540 C880 532 970 530 1080 530 C1190 530 1290 524 1370 528 C1290 566 1190 578 1080 578 C970 578 870 572 790 540 Z",
        "url(#deck)",
    )
    seat = '<ellipse cx="1078" cy="550" rx="78" ry="15" fill="#5a2413"/>'
    line = 'stroke-linecap="round" fill="none"'
    person = (
        path("M1040 552 C1036 500 1052 466 1082 462 C1112 466 1122 500 1118 552 Z", "#d8343f")
        + '<circle cx="1084" cy="430" r="27" fill="#7a4630"/>'
        + path("M1054 428 C1056 392 1112 390 1116 424 Z", "#fff5d8")
    )
    oar = f'<path d="M930 416 L1250 552" stroke="#1b2a3c" stroke-width="8" {line}/><path d="M1060 486 L1030 458 M1106 492 L1142 506" stroke="#d8343f" stroke-width="20" {line}/>'
    blades = '<ellipse cx="912" cy="408" rx="40" ry="15" fill="#f4f8ef" transform="rotate(23 912 408)"/><ellipse cx="1268" cy="560" rx="40" ry="15" fill="#f4f8ef" transform="rotate(23 1268 560)"/>'
    rings = "".join(
        f'<path d="M{760 - 40 * k} {606 + 14 * k} Q1080 {664 + 22 * k} {1400 + 40 * k} {600 + 14 * k}" stroke="#d8fff4" stroke-width="4" opacity="{0.6 - 0.16 * k}" {line}/>'
        for k in range(4)
    )
    return f"<defs>{defs}</defs>{rings}{hull}{deck}{seat}{person}{oar}{blades}"


def bike() -> Array:
    """A gravel bike against a warm wall."""
    picture = _wall("#6a1f4c", "#f2765a", "#ffe1a6", (0.7, 0.36))
    return _banner(picture, ("#a83a55", "#7d2a4d", "#4d1a3c"), 4, _bike, (880, 400, 420))


def _bike() -> str:
    ink, line = "#1f1027", 'stroke-linecap="round" stroke-linejoin="round" fill="none"'
    wheels = "".join(
        f'<circle cx="{x}" cy="536" r="90" stroke="{ink}" stroke-width="13" {line}/><circle cx="{x}" cy="536" r="82" stroke="#f7d9a8" stroke-width="4" {line}/>'
        + "".join(
            f'<path d="M{x} 536 L{x + 80 * np.cos(a):.1f} {536 + 80 * np.sin(a):.1f}" stroke="#fff" stroke-width="1.4" opacity=".65"/>'
            for a in np.linspace(0, 2 * np.pi, 17)[:-1]
        )
        + f'<circle cx="{x}" cy="536" r="8" fill="{ink}"/>'
        for x in (938, 1226)
    )
    frame = f'<path d="M938 536 L1012 418 L1168 424 L1066 540 L938 536 M1012 418 L1066 540" stroke="#19b5a5" stroke-width="15" {line}/><path d="M1160 392 L1178 452 L1226 536" stroke="#19b5a5" stroke-width="13" {line}/>'
    rest = f'<path d="M1012 418 L1000 384 M1160 392 L1152 374 M1066 540 L1092 574" stroke="{ink}" stroke-width="9" {line}/><path d="M962 380 L1036 378" stroke="{ink}" stroke-width="16" {line}/><path d="M1152 374 L1206 372 C1232 376 1232 416 1204 418" stroke="{ink}" stroke-width="11" {line}/>'
    gear = f'<circle cx="1066" cy="540" r="27" stroke="{ink}" stroke-width="7" {line}/><path d="M938 526 L1066 514 M938 546 L1066 566" stroke="{ink}" stroke-width="3" {line}/><path d="M1078 574 H1108" stroke="{ink}" stroke-width="9" {line}/>'
    bag = path("M1032 432 L1146 436 L1116 478 L1046 470 Z", "#ffc861")
    return wheels + frame + bag + rest + gear


def skis() -> Array:
    """Skis and poles in fresh snow."""
    picture = _wall("#20508f", "#a9d8ee", "#ffffff", (0.72, 0.38))
    picture = _banner(picture, ("#bcdcf0", "#dcecf8", "#f6fbff"), 5, _skis, (960, 240, 420))
    random = np.random.default_rng(2)
    flakes = "".join(
        f'<circle cx="{random.uniform(0, 1500):.0f}" cy="{random.uniform(0, 1000):.0f}" r="{random.uniform(1, 4.5):.1f}" fill="#fff" opacity="{random.uniform(0.3, 0.9):.2f}"/>'
        for _ in range(420)
    )
    onto(picture, flakes)
    return picture


def _skis() -> str:
    defs = fade("one", [(0, "#ff5a52", 1), (0.5, "#d6244f", 1), (1, "#8c1546", 1)]) + fade(
        "two", [(0, "#ffb347", 1), (0.5, "#ff6b3d", 1), (1, "#c22f3f", 1)]
    )
    ski = "M-17 -268 C-17 -300 17 -300 17 -268 C12 -150 12 100 17 300 L-17 300 C-12 100 -12 -150 -17 -268 Z"
    mark = '<path d="M-13 -120 L13 -150 V-110 L-13 -80 Z M-12 -60 L12 -90 V-76 L-12 -46 Z" fill="#fff" opacity=".9"/><rect x="-15" y="60" width="30" height="62" rx="6" fill="#16213d"/>'
    pair = f'<g transform="translate(1040 520) rotate(-9) scale(.62)">{path(ski, "url(#one)")}{mark}</g><g transform="translate(1096 520) rotate(7) scale(.62)">{path(ski, "url(#two)")}{mark}</g>'
    pole = '<path d="M0 -150 V160" stroke="#16213d" stroke-width="6" stroke-linecap="round"/><path d="M0 -158 V-112" stroke="#16213d" stroke-width="15" stroke-linecap="round"/><ellipse cx="0" cy="118" rx="24" ry="6" fill="none" stroke="#16213d" stroke-width="5"/>'
    poles = f'<g transform="translate(938 520) rotate(-18)">{pole}</g><g transform="translate(1206 520) rotate(16)">{pole}</g>'
    drift = path("M780 648 C900 640 960 604 1070 606 S1240 640 1370 648 C1240 676 900 676 780 648 Z", "#ffffff")
    return f"<defs>{defs}</defs>{poles}{pair}{drift}"


def _contours(seed: int, low: Colour | Array, high: Colour | Array, line: str, count: int, strength: float) -> Array:
    """A map: heights in colour, contour lines over them."""
    down, across = grid(HEIGHT, WIDTH)
    height = Noise(seed).clouds(across * 3.4, down * 2.4, 4, 0.42)
    picture = (np.asarray(low) + (np.asarray(high) - np.asarray(low)) * height[..., None]).astype(np.float32)
    slope = np.hypot(*np.gradient(height * count))
    away = np.abs((height * count) % 1.0 - 0.5)
    drawn = np.clip(1.6 - (0.5 - away) / np.maximum(slope, 1e-4), 0, 1) * strength
    over(picture, np.broadcast_to(colour(line), picture.shape), drawn.astype(np.float32))
    return picture


def banner_calm() -> Array:
    """The default banner: a map in quiet greens."""
    picture = _contours(44, colour("#27454b"), colour("#8fb3a3"), "#e9f0e0", 16, 0.34)
    vignette(picture, 0.3)
    return filmic(picture, 0.5)


def tile_calm() -> Array:
    """The default tile: the same map in sand."""
    picture = _contours(71, colour("#b9a58b"), colour("#efe6d2"), "#7d6a55", 14, 0.4)
    vignette(picture, 0.2)
    return filmic(picture, 0.5)


def tile_compass() -> Array:
    """Arm a: a compass rose on coral."""
    picture = _contours(12, colour("#d8432f"), colour("#ff8f6b"), "#ffc9a8", 13, 0.35)
    glow(picture, 0.5, 0.45, 0.22, "#fff0d0", 0.5, 1.3)
    ticks = "".join(
        f'<path d="M750 232 V{262 if k % 6 else 286}" stroke="#3a1420" stroke-width="{4 if k % 6 else 9}" transform="rotate({k * 15} 750 470)"/>'
        for k in range(24)
    )
    star = "".join(
        f'<g transform="rotate({turn} 750 470) scale({size}) "><path d="M{750 / size} {(470 - 190 * 1) / size} L{(750 + 34) / size} {436 / size} L{750 / size} {470 / size} Z" fill="#fff4e0"/><path d="M{750 / size} {280 / size} L{716 / size} {436 / size} L{750 / size} {470 / size} Z" fill="#ffb08a"/></g>'
        for turn, size in ((45, 1), (135, 1), (225, 1), (315, 1))
    )
    needle = '<g transform="rotate(28 750 470)"><path d="M750 262 L790 470 H710 Z" fill="#c8192f"/><path d="M750 262 L790 470 H750 Z" fill="#ef3b4b"/><path d="M750 678 L790 470 H710 Z" fill="#17223f"/><path d="M750 678 L710 470 H750 Z" fill="#2c3d66"/></g>'
    body = f'<defs>{blur("s", 16)}</defs><circle cx="764" cy="496" r="282" fill="#5a0f18" opacity=".5" filter="url(#s)"/><circle cx="750" cy="470" r="278" fill="#f3c98b"/><circle cx="750" cy="470" r="262" fill="#3a1420"/><circle cx="750" cy="470" r="252" fill="#fff0d8"/>'
    onto(
        picture,
        body
        + ticks
        + f'<g opacity=".55">{star}</g>'
        + needle
        + '<circle cx="750" cy="470" r="17" fill="#f3c98b" stroke="#3a1420" stroke-width="5"/>',
    )
    vignette(picture, 0.3)
    return filmic(picture, 0.7)


def tile_moon() -> Array:
    """Arm b: a poster of peaks under a large moon, in teal."""
    picture = _wall("#06232f", "#0f6b6f", "#8ff0d6", (0.5, 0.36))
    random = np.random.default_rng(31)
    dots = "".join(
        f'<circle cx="{random.uniform(0, 1500):.0f}" cy="{random.uniform(0, 520):.0f}" r="{random.uniform(0.8, 2.6):.1f}" fill="#e8fff6" opacity="{random.uniform(0.3, 1):.2f}"/>'
        for _ in range(260)
    )
    moon = '<circle cx="750" cy="350" r="190" fill="#f4fbe4"/><circle cx="690" cy="300" r="34" fill="#dcebcf"/><circle cx="806" cy="410" r="50" fill="#dcebcf"/><circle cx="800" cy="268" r="20" fill="#dcebcf"/>'
    peaks = ""
    for rank, (shade, snow) in enumerate((("#1f7f80", "#c8f5e4"), ("#12565f", "#8fd8cc"), ("#093540", "#4c9a98"))):
        for _ in range(4):
            x, tall, wide = random.uniform(150, 1350), random.uniform(190, 330) - 30 * rank, random.uniform(260, 380)
            foot = 760 + 70 * rank
            peaks += path(f"M{x - wide:.0f} {foot} L{x:.0f} {foot - tall:.0f} L{x + wide:.0f} {foot} Z", shade)
            peaks += path(
                f"M{x:.0f} {foot - tall:.0f} L{x + wide * 0.3:.0f} {foot - tall * 0.7:.0f} L{x + wide * 0.12:.0f} {foot - tall * 0.76:.0f} L{x:.0f} {foot - tall * 0.66:.0f} L{x - wide * 0.14:.0f} {foot - tall * 0.74:.0f} L{x - wide * 0.28:.0f} {foot - tall * 0.72:.0f} Z",
                snow,
            )
        peaks += f'<rect x="0" y="{758 + 70 * rank}" width="1500" height="400" fill="{shade}"/>'
    onto(picture, dots + moon + peaks)
    vignette(picture, 0.4)
    return filmic(picture, 0.7)


def tile_sunburst() -> Array:
    """Arm c: an enamel mug in front of sun rays, in yellow."""
    down, across = grid(HEIGHT, WIDTH)
    angle = np.arctan2(down - 0.52, (across - 0.5) * WIDTH / HEIGHT)
    rays = np.clip(np.sin(angle * 12) * 14 + 0.5, 0, 1)[..., None]
    picture = (colour("#ffb01f") * rays + colour("#ffd45e") * (1 - rays)).astype(np.float32)
    glow(picture, 0.5, 0.52, 0.16, "#fffbe0", 0.9, 1.1)
    defs = fade("mug", [(0, "#2a6fdb", 1), (0.5, "#1b4fae", 1), (1, "#0f2f74", 1)], 1, 0) + blur("s", 18)
    mug = '<ellipse cx="760" cy="742" rx="270" ry="34" fill="#a85a00" opacity=".55" filter="url(#s)"/>'
    mug += path("M930 430 C1070 410 1070 640 922 622", extra='stroke="#17449a" stroke-width="40"') + path(
        "M930 430 C1070 410 1070 640 922 622", extra='stroke="#3f86ee" stroke-width="9"'
    )
    mug += (
        path("M540 340 H950 L936 690 C932 742 558 742 554 690 Z", "url(#mug)")
        + '<ellipse cx="745" cy="340" rx="208" ry="44" fill="#f4f7ff"/><ellipse cx="745" cy="344" rx="188" ry="34" fill="#4a2413"/>'
    )
    mug += (
        path("M640 590 L720 470 L760 526 L790 488 L860 590 Z", "#f4f7ff")
        + '<circle cx="826" cy="462" r="22" fill="#ffd45e"/>'
    )
    steam = "".join(
        path(
            f"M{x} 300 C{x - 50} 250 {x + 50} 210 {x} 150",
            extra='stroke="#fff" stroke-width="16" stroke-linecap="round" opacity=".75"',
        )
        for x in (670, 750, 830)
    )
    onto(picture, f"<defs>{defs}</defs>{mug}{steam}")
    vignette(picture, 0.25)
    return filmic(picture, 0.6)
