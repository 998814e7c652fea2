"""The recipe of one rendition, and the signed URL path that names it.

Wire format: `docs/formats/rendition-url.md`. A rendition is named by what it is made of (asset, source digest, size,
format, adjustment, copy), never by a person: two visitors with the same decision share one name and one cache entry.

    recipe = Recipe("alpine-dawn", "9f86d081884c7d659a2feaa0c55ad015", 1200, 675)
    path = sign_path(recipe, key)               # "/v1/renditions/k1/alpine-dawn/…"
    open_path(path.encode("ascii"), [key])      # the same recipe, or Rejected("rendition-signature")

Pure: no I/O, no clock. Which format a browser gets for `auto` is decided by the code that reads its `Accept`.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from consent_core.errors import Rejected
from consent_core.formats.token import decode_base64url, encode_base64url

PREFIX = "/v1/renditions/"
DOMAIN = b"consent-edge/rendition/v1\0"  # keeps these signatures apart from any other use of the same secret
MAX_PATH_BYTES = 2048
MIN_SECRET_BYTES = 32

# Output widths in device pixels. Anything asked for is rounded up to one of these, so that an asset has few variants.
WIDTHS = (320, 480, 640, 824, 960, 1200, 1600, 2000, 2400)
DPRS = (1.0, 1.5, 2.0, 3.0)
MAX_DPR = 10  # more than any screen has
_DPR_TEXT = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,6})?")
MAX_REQUESTED_WIDTH = 4096  # CSS pixels; beyond is a mistake or an attack
MAX_HEIGHT = 4800
MAX_COPY_CHARACTERS = 120
FORMATS = ("auto", "avif", "webp", "jpeg")
QUALITIES = ("low", "standard", "high")
POSITIONS = ("top-left", "top-right", "center", "bottom-left", "bottom-right")

IDENTIFIER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")  # of an asset, slot, experiment or arm
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # cannot be drawn

_SOURCE = re.compile(r"[0-9a-f]{32}")
_FONTS = re.compile(r"[0-9a-f]{16}")
_WIDTH_TEXT = re.compile(r"[1-9][0-9]{0,3}")
_NUMBER = "(?:0|-?[1-9][0-9]{0,3})"
_PATH = re.compile(
    f"{PREFIX}[a-z0-9-]{{1,32}}"
    r"/(?P<asset>[a-z0-9-]{1,64})/(?P<source>[0-9a-f]{32})"
    f"/(?P<width>{_NUMBER})x(?P<height>{_NUMBER})-(?P<quality>[a-z]+)-(?P<format>[a-z]+)"
    f"/f(?P<x>{_NUMBER})-(?P<y>{_NUMBER})"
    f"/b(?P<brightness>{_NUMBER})s(?P<saturation>{_NUMBER})w(?P<warmth>{_NUMBER})"
    r"/(?:plain|(?P<position>[a-z-]+)\.(?:(?P<fonts>[0-9a-f]{16})\.)?(?P<copy>[A-Za-z0-9_-]+))"
)


class Focal(NamedTuple):
    """The point of the source that a crop must keep, in thousandths of its width and height."""

    x: int = 500
    y: int = 500


class Adjustment(NamedTuple):
    """Percent, -100 to 100; 0 leaves the image as it is."""

    brightness: int = 0
    saturation: int = 0
    warmth: int = 0


class Overlay(NamedTuple):
    """A line of copy drawn into the image. `fonts`: a digest of what it is drawn with; "" before a look."""

    text: str
    position: str = "bottom-left"
    fonts: str = ""


CENTRE = Focal()
UNCHANGED = Adjustment()


@dataclass(frozen=True, slots=True)
class RenditionKey:
    """A secret of one deployment's POPs. `kid` lets an old key verify while a new one already signs."""

    kid: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]{1,32}", self.kid):
            raise ValueError("kid: expected 1 to 32 of a-z, 0-9 and -")
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"secret: expected at least {MIN_SECRET_BYTES} bytes, got {len(self.secret)}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a rendition's bytes. `source`: first 32 hex digits of the SHA-256 of the source file.

    `width` and `height` are device pixels, `width` one of `WIDTHS`. Raises: ValueError on any other value.
    """

    asset: str
    source: str
    width: int
    height: int
    format: str = "auto"
    quality: str = "standard"
    focal: Focal = CENTRE
    adjustment: Adjustment = UNCHANGED
    overlay: Overlay | None = None

    def __post_init__(self) -> None:
        _expect(IDENTIFIER.fullmatch(self.asset), "asset: expected an identifier")
        _expect(_SOURCE.fullmatch(self.source), "source: expected 32 hexadecimal digits")
        _expect(self.width in WIDTHS, f"width: expected one of {WIDTHS}, got {self.width}")
        _expect(1 <= self.height <= MAX_HEIGHT, f"height: expected 1 to {MAX_HEIGHT}, got {self.height}")
        _expect(self.format in FORMATS, f"format: expected one of {FORMATS}")
        _expect(self.quality in QUALITIES, f"quality: expected one of {QUALITIES}")
        _expect(all(0 <= value <= 1000 for value in self.focal), "focal: expected thousandths")
        _expect(all(-100 <= value <= 100 for value in self.adjustment), "adjustment: expected percent")
        if self.overlay is not None:
            _check_overlay(self.overlay)

    def in_format(self, name: str) -> "Recipe":
        """The same recipe with its format settled."""
        return replace(self, format=name)


def output_width(width: int, dpr: float = 1.0) -> int:
    """Device pixels to render for `width` CSS pixels: rounded up to a step, at most the largest step.

    Raises: Rejected("bad-size") for a width outside 1 to 4,096 or a `dpr` not in `DPRS`.
    """
    if not 1 <= width <= MAX_REQUESTED_WIDTH:
        raise Rejected("bad-size", f"w: expected 1 to {MAX_REQUESTED_WIDTH}")
    if dpr not in DPRS:
        raise Rejected("bad-size", f"dpr: expected one of {', '.join(f'{step:g}' for step in DPRS)}")
    return next((step for step in WIDTHS if step >= width * dpr), WIDTHS[-1])


def read_width(text: str) -> int:
    """The query parameter `w`. Raises: Rejected("bad-size")."""
    if not _WIDTH_TEXT.fullmatch(text):
        raise Rejected("bad-size", f"w: expected a whole number from 1 to {MAX_REQUESTED_WIDTH}")
    return int(text)


def read_dpr(text: str) -> float:
    """The query parameter `dpr`, rounded up to a step, such as a phone's 2.625 to 3; a denser screen gets the last one.

    Raises: Rejected("bad-size").
    """
    if not _DPR_TEXT.fullmatch(text) or not 0 < float(text) <= MAX_DPR:
        raise Rejected("bad-size", f"dpr: expected a number above 0, at most {MAX_DPR}")
    return next((step for step in DPRS if step >= float(text)), DPRS[-1])


def sign_path(recipe: Recipe, key: RenditionKey) -> str:
    """The URL path of a recipe, signed. ASCII, needs no escaping."""
    unsigned = _unsigned_path(recipe, key.kid)
    return f"{unsigned}/{_signature(unsigned.encode('ascii'), key)}"


def open_path(path: bytes, keys: Sequence[RenditionKey]) -> Recipe:
    """The recipe a signed path names. `path`: the bytes as received, nothing decoded or normalised.

    The signature covers the exact bytes before the last slash; they are not looked at before it is checked.
    Raises: Rejected("rendition-signature", 403) for any path that none of `keys` signed to the letter;
    Rejected("rendition-recipe", 404) for one that a key signed but this version does not understand.
    """
    unsigned, slash, signature = path.rpartition(b"/")
    if len(path) > MAX_PATH_BYTES or not slash:
        raise _bad_signature()
    key = _find_key(unsigned, keys)
    if not hmac.compare_digest(_signature(unsigned, key).encode("ascii"), signature):  # as text: one spelling only
        raise _bad_signature()
    return _read_recipe(unsigned.decode("ascii", "replace"))


def _find_key(unsigned: bytes, keys: Sequence[RenditionKey]) -> RenditionKey:
    for key in keys:
        if unsigned.startswith(f"{PREFIX}{key.kid}/".encode("ascii")):
            return key
    raise _bad_signature()


def _signature(unsigned: bytes, key: RenditionKey) -> str:
    return encode_base64url(hmac.digest(key.secret, DOMAIN + unsigned, hashlib.sha256))


def _bad_signature() -> Rejected:
    return Rejected("rendition-signature", "this address was not signed here", status=403)


def _unsigned_path(recipe: Recipe, kid: str) -> str:
    size = f"{recipe.width}x{recipe.height}-{recipe.quality}-{recipe.format}"
    look = "b{}s{}w{}".format(*recipe.adjustment)
    focal = f"f{recipe.focal.x}-{recipe.focal.y}"
    return f"{PREFIX}{kid}/{recipe.asset}/{recipe.source}/{size}/{focal}/{look}/{_write_overlay(recipe.overlay)}"


def _write_overlay(overlay: Overlay | None) -> str:
    if overlay is None:
        return "plain"
    drawn = f"{overlay.position}.{overlay.fonts}" if overlay.fonts else overlay.position
    return f"{drawn}.{encode_base64url(overlay.text.encode('utf-8'))}"


def _read_recipe(unsigned: str) -> Recipe:
    match = _PATH.fullmatch(unsigned)
    if match is None:
        raise Rejected("rendition-recipe", "signed, but not of a form this version renders", status=404)
    try:
        return Recipe(
            match["asset"],
            match["source"],
            int(match["width"]),
            int(match["height"]),
            match["format"],
            match["quality"],
            Focal(int(match["x"]), int(match["y"])),
            Adjustment(int(match["brightness"]), int(match["saturation"]), int(match["warmth"])),
            _read_overlay(match["position"], match["fonts"] or "", match["copy"]),
        )
    except (ValueError, Rejected) as error:
        raise Rejected("rendition-recipe", "signed, but not a recipe this version renders", status=404) from error


def _read_overlay(position: str | None, fonts: str, copy: str | None) -> Overlay | None:
    if position is None or copy is None:
        return None
    return Overlay(decode_base64url(copy).decode("utf-8"), position, fonts)


def _check_overlay(overlay: Overlay) -> None:
    _expect(overlay.position in POSITIONS, f"position: expected one of {POSITIONS}")
    _expect(not overlay.fonts or _FONTS.fullmatch(overlay.fonts), "fonts: expected 16 hexadecimal digits")
    _expect(0 < len(overlay.text) <= MAX_COPY_CHARACTERS, f"copy: expected 1 to {MAX_COPY_CHARACTERS} characters")
    _expect(not CONTROL.search(overlay.text), "copy: control characters cannot be drawn")


def _expect(met: object, message: str) -> None:
    if not met:
        raise ValueError(message)
