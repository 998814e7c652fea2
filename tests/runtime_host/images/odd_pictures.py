"""Hostile and odd pictures by the hundred: what arrives in an art folder without an editor.

    for row in rows():
        row.kind, row.name, row.data, row.shown       # `shown`: whether a POP takes it

Thirteen kinds, the same files every time. What is refused is refused by one code; what is shown is whole.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime_host.pop.images.libvips import Image
from tests.runtime_host.images.pictures import field

SIZE = (96, 64)
PROFILES = ("srgb", "p3")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One file. `size`: of the picture once it is upright."""

    kind: str
    name: str
    data: bytes
    shown: bool
    size: tuple[int, int] = SIZE


def rows() -> Iterator[Row]:
    """All of them."""
    for kind in KINDS:
        yield from kind()


def picture(width: int = SIZE[0], height: int = SIZE[1]) -> Image:
    """Detail everywhere, so that a missing part is seen."""
    bands = [Image.perlin(width, height, cell_size=16, uchar=True, seed=seed) for seed in (1, 2, 3)]
    return bands[0].bandjoin(bands[1:]).copy(interpretation="srgb")


SAVERS: dict[str, Callable[..., bytes]] = {
    "jpeg": lambda image, **o: image.jpegsave_buffer(Q=90, **o),
    "progressive": lambda image, **o: image.jpegsave_buffer(Q=90, interlace=True, **o),
    "png": lambda image, **o: image.pngsave_buffer(**o),
    "interlaced": lambda image, **o: image.pngsave_buffer(interlace=True, **o),
    "webp": lambda image, **o: image.webpsave_buffer(Q=90, **o),
    "lossless": lambda image, **o: image.webpsave_buffer(lossless=True, **o),
    "avif": lambda image, **o: image.heifsave_buffer(compression="av1", Q=80, effort=0, **o),
}


def segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """Marker, offset and length of each segment before the first scan's data."""
    found, at = [], 2
    while jpeg[at + 1] != 0xDA:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], at, length))
        at += 2 + length
    return [*found, (0xDA, at, int.from_bytes(jpeg[at + 2 : at + 4], "big"))]


def chunks(png: bytes) -> list[tuple[bytes, int, int]]:
    """Type, offset and length of each chunk."""
    found, at = [], len(_PNG)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found.append((png[at + 4 : at + 8], at, length))
        at += 12 + length
    return found


def truncated_at_markers() -> Iterator[Row]:
    """Cut before, within and after each marker or chunk."""
    for form in ("jpeg", "progressive"):
        data = SAVERS[form](picture())
        for number, (marker, at, length) in enumerate(segments(data)):
            for place, cut in (("before", at), ("within", at + 3), ("after", at + 2 + length)):
                yield Row("truncated at a marker", f"{form}-{number}-{marker:02x}-{place}", data[:cut], False)
    for form in ("png", "interlaced"):
        data = SAVERS[form](picture())
        for number, (name, at, _) in enumerate(chunks(data)):
            if name != b"IEND":
                yield Row("truncated at a marker", f"{form}-{number}-{name.decode()}", data[: at + 9], False)


def truncated_by_share() -> Iterator[Row]:
    """A transfer that ended early."""
    for form, save in SAVERS.items():
        data = save(picture())
        for percent in (0, 1, 5, 10, 25, 50, 75, 90):
            yield Row("truncated", f"{form}-{percent}", data[: len(data) * percent // 100], False)


def swapped_lengths() -> Iterator[Row]:
    """Lengths that lead elsewhere: none, one too few, far beyond the end."""
    for form in ("png", "interlaced"):
        data = SAVERS[form](picture())
        for number, (name, at, length) in enumerate(chunks(data)):
            for other in (0, length + 1, 0x7FFFFFFF, 0xFFFFFFFF):
                if name in (b"IHDR", b"IDAT"):
                    changed = data[:at] + other.to_bytes(4, "big") + data[at + 4 :]
                    yield Row("swapped lengths", f"{form}-{number}-{name.decode()}-{other:x}", changed, False)
    for form in ("jpeg", "progressive"):
        data = SAVERS[form](picture())
        for number, (marker, at, _) in enumerate(segments(data)):
            if marker in (0xC0, 0xC2, 0xDB):
                for other in (0, 1, 0xFFFF):
                    changed = data[: at + 2] + other.to_bytes(2, "big") + data[at + 4 :]
                    yield Row("swapped lengths", f"{form}-{number}-{marker:02x}-{other:x}", changed, False)
    webp = SAVERS["webp"](picture())
    for other in (0, 7, 0xFFFFFFF0):
        yield Row("swapped lengths", f"webp-{other:x}", webp[:16] + struct.pack("<I", other) + webp[20:], False)


def bombs() -> Iterator[Row]:
    """A few bytes that say they are huge."""
    jpeg, png = SAVERS["jpeg"](picture()), SAVERS["png"](picture())
    at = next(at for marker, at, _ in segments(jpeg) if marker == 0xC0)
    for width, height in ((65_500, 65_500), (65_500, 1), (1, 65_500), (16_385, 16), (8_000, 8_000)):
        changed = jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]
        yield Row("bomb", f"jpeg-{width}x{height}", changed, False)
    for width, height in (
        (50_000_000, 1), (1, 50_000_000), (0x7FFFFFFF, 0x7FFFFFFF), (20_000, 20_000), (0, 64), (96, 0), (16_385, 1),
    ):  # fmt: skip
        head = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
        changed = png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]
        yield Row("bomb", f"png-{width}x{height}", changed, False)
    webp = SAVERS["lossless"](picture())
    bits = struct.pack("<I", 16_383 | 16_383 << 14)
    yield Row("bomb", "webp-16384x16384", webp[:21] + bits + webp[25:], False)
    avif = SAVERS["avif"](picture())
    at = avif.index(b"ispe") + 8
    for width, height in ((7_000, 7_200), (20_000, 20_000), (0xFFFFFFFF, 0xFFFFFFFF)):
        yield Row(
            "bomb", f"avif-{width}x{height}", avif[:at] + struct.pack(">II", width, height) + avif[at + 8 :], False
        )
    flat = Image.black(7_000, 7_200, bands=3).copy(interpretation="srgb")
    yield Row("bomb", "png-flat-50-megapixels", flat.pngsave_buffer(compression=9), False)


def odd_scans() -> Iterator[Row]:
    """Scan parameters and stray bytes as cameras write them: every browser shows the picture."""
    jpeg = SAVERS["jpeg"](picture())
    *_, (_, at, length) = segments(jpeg)
    end = at + 2 + length
    for name, parameters in (("ss1", b"\x01\x3f\x00"), ("se0", b"\x00\x00\x00"), ("ah1", b"\x00\x3f\x10")):
        yield Row("odd scan", f"sos-{name}", jpeg[: end - 3] + parameters + jpeg[end:], True)
    for count in (1, 2, 7):
        yield Row("odd scan", f"stray-{count}", jpeg[:at] + b"\x00" * count + jpeg[at:], True)
    yield Row("odd scan", "no-eoi", jpeg[:-2], True)
    yield Row("odd scan", "tail", jpeg + b"what the camera adds" * 10, True)


def profiles() -> Iterator[Row]:
    """Each profile in each format."""
    for form, save in SAVERS.items():
        for profile in PROFILES:
            yield Row("profile", f"{form}-{profile}", save(picture(), profile=profile), True)
        yield Row("profile", f"{form}-none", save(picture(), keep="none"), True)


def orientations() -> Iterator[Row]:
    """As a phone holds it; AVIF turns by itself."""
    for form in ("jpeg", "progressive", "png", "webp"):
        for number in range(1, 9):
            image = picture().copy()
            image.set_type(image.get_typeof("width"), "orientation", number)
            size = SIZE if number < 5 else (SIZE[1], SIZE[0])
            yield Row("orientation", f"{form}-{number}", SAVERS[form](image), True, size)


def transparency() -> Iterator[Row]:
    """None, half and all of it."""
    for form in ("png", "interlaced", "webp", "lossless", "avif"):
        for alpha in (0, 128, 255):
            yield Row("alpha", f"{form}-{alpha}", SAVERS[form](picture().bandjoin(alpha)), True)


def colours() -> Iterator[Row]:
    """Grey, grey with alpha, CMYK."""
    grey = picture().colourspace("b-w")
    for form in ("jpeg", "progressive", "png", "interlaced"):
        yield Row("colours", f"{form}-grey", SAVERS[form](grey), True)
    yield Row("colours", "png-grey-alpha", SAVERS["png"](grey.bandjoin(100)), True)
    cmyk = picture().icc_transform("cmyk", input_profile="srgb")
    for form in ("jpeg", "progressive"):
        yield Row("colours", f"{form}-cmyk", SAVERS[form](cmyk), True)


def depths() -> Iterator[Row]:
    """From one bit to sixteen."""
    deep = picture().colourspace("rgb16")
    for form in ("png", "interlaced"):
        yield Row("depth", f"{form}-16", SAVERS[form](deep), True)
        for bits in (1, 2, 4, 8):
            yield Row("depth", f"{form}-palette-{bits}", SAVERS[form](picture(), palette=True, bitdepth=bits), True)
    for bits in (10, 12):
        data = deep.heifsave_buffer(compression="av1", Q=80, effort=0, bitdepth=bits)
        yield Row("depth", f"avif-{bits}", data, True)


def thin() -> Iterator[Row]:
    """One pixel wide, one pixel high, one pixel."""
    for form, save in SAVERS.items():
        for size in ((1, 1), (1, 64), (96, 1)):
            if form != "avif":
                yield Row("thin", f"{form}-{size[0]}x{size[1]}", save(field(*size)), True, size)


def animations() -> Iterator[Row]:
    """More than one picture is none."""
    frames = picture().join(field(*SIZE), "vertical")  # two equal ones would be saved as one
    yield Row("animation", "webp", frames.webpsave_buffer(page_height=SIZE[1]), False)
    png = SAVERS["png"](picture())
    control = b"acTL" + struct.pack(">II", 2, 0)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    yield Row("animation", "png", png[:33] + chunk + png[33:], False)


def other_formats() -> Iterator[Row]:
    """What libvips or its libraries could open elsewhere, and what calls itself a picture."""
    for name, data in {
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="64"/>',
        "gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
        "tiff": b"II*\x00\x08\x00\x00\x00\x00\x00", "bmp": b"BM" + bytes(60), "pdf": b"%PDF-1.7\n",
        "ppm": b"P6 1 1 255\n\0\0\0",
        "html": b"<!doctype html><title>404</title>", "text": b"a picture", "nul": bytes(4_096), "empty": b"",
        "zip": b"PK\x03\x04" + bytes(40), "jxl": b"\xff\x0a" + bytes(40), "heic": bytes(4) + b"ftypheic" + bytes(40),
    }.items():  # fmt: skip
        yield Row("other format", name, data, False)


KINDS = (
    truncated_at_markers, truncated_by_share, swapped_lengths, bombs, odd_scans, profiles, orientations, transparency,
    colours, depths, thin, animations, other_formats,
)  # fmt: skip
