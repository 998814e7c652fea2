"""Copy drawn into an image: the shipped font, white on a soft shade, wrapped and scaled to the image."""

from html import escape
from pathlib import Path

from consent_core.formats.rendition import Overlay
from runtime_host.pop.images.libvips import Image, VipsError

FONT_FILE = Path(__file__).parent / "fonts" / "Manrope-Bold.ttf"
FONT = "Manrope Bold"
WHITE = [255, 255, 255]
BLACK = [0, 0, 0]

_SIZE = 0.085  # height of the letters as a part of the image's shorter side
_MARGIN = 0.07  # empty border, same unit
_LINE_WIDTH = 0.84  # of the image's width in a square, less the wider it is, so that much stays picture
_LINE_HEIGHT = 0.75  # of the image's height, at most
_SHADE = 0.68  # how much light the shade takes away where it is darkest
_DPI = 72  # one point is one pixel


def letter(image: Image, overlay: Overlay) -> Image:
    """The image with its copy drawn at the overlay's position."""
    mask = text_mask(overlay.text, image.width, image.height)
    left, top = _place(image, mask, overlay.position)
    shaded = _shade(image, overlay.position)
    full = mask.embed(left, top, image.width, image.height)
    return full.ifthenelse(WHITE, shaded, blend=True)


def text_mask(text: str, width: int, height: int) -> Image:
    """Coverage (one band, 0 to 255) of the text, never larger than an image of this size leaves room for."""
    side = min(width, height)
    room = max(1, int(width * _LINE_WIDTH * (side / width) ** 0.5)), max(1, int(height * _LINE_HEIGHT))
    mask = _drawn(text, side, room[0])
    if mask.width > room[0] or mask.height > room[1]:
        mask = mask.resize(min(room[0] / mask.width, room[1] / mask.height))
    return mask


def _drawn(text: str, side: int, width: int) -> Image:
    """Coverage of the text in lines of at most `width`; nothing where no letter of it has a shape."""
    try:
        return Image.text(
            escape(text, quote=False),  # pango reads markup; copy is plain text
            font=f"{FONT} {max(8, round(side * _SIZE))}",
            fontfile=str(FONT_FILE),
            width=width,
            dpi=_DPI,
            wrap="word-char",
            spacing=0,
        )
    except VipsError:  # libvips has no text without ink, such as a lone tag character
        return Image.black(1, 1)


def _place(image: Image, mask: Image, position: str) -> tuple[int, int]:
    margin = round(min(image.width, image.height) * _MARGIN)
    right, bottom = image.width - mask.width - margin, image.height - mask.height - margin
    return {
        "top-left": (margin, margin),
        "top-right": (right, margin),
        "center": ((image.width - mask.width) // 2, (image.height - mask.height) // 2),
        "bottom-left": (margin, bottom),
        "bottom-right": (right, bottom),
    }[position]


def _shade(image: Image, position: str) -> Image:
    """The image darkened towards the edge the copy stands at, so that white stays readable on snow."""
    return shade_mask(image.width, image.height, position).ifthenelse(BLACK, image, blend=True)


def shade_mask(width: int, height: int, position: str) -> Image:
    """How much of 255 the shade takes: nothing at the far edge, growing with the cube of the distance from it."""
    if position == "center":
        return Image.black(width, height).linear(1, 255 * _SHADE / 2, uchar=True)
    ramp = Image.identity(ushort=True, size=height).rot90() * (1 / max(1, height - 1))
    if position.startswith("top"):
        ramp = ramp.flipver()
    return (ramp**3 * (255 * _SHADE)).cast("uchar").embed(0, 0, width, height, extend="copy")
