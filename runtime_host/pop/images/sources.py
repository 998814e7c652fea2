"""Source pictures: checked completely when a catalogue is loaded, read again and compared when one is rendered.

A picture that is corrupt, too large or of another format is refused at start with its file named; no request ever
meets it. The bytes are not kept: a render reads the file and refuses bytes whose digest has changed.

Trust: the art directory is *not* trusted after start; a process that can write to it can at most make renders fail.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from consent_core.errors import Rejected, Unavailable
from runtime_host.pop.images.files import MAX_SOURCE_BYTES as MAX_SOURCE_BYTES
from runtime_host.pop.images.files import read_regular
from runtime_host.pop.images.libvips import Image, VipsError
from runtime_host.pop.images.profiles import is_srgb

MAX_SOURCE_PIXELS = 50_000_000
MAX_SIDE = 16_384  # pixels; a longer side overflows what is made of it, and shows nothing
MAX_WHOLE_PIXELS = 12_000_000  # of what cannot be shrunk while loading: each pixel is held in memory, some 15 bytes
_EOI = b"\xff\xd9"  # the end of a JPEG, which some cameras forget
# Bytes between segments and scan parameters that cameras write wrongly: nothing of the picture is missing.
_HARMLESS = re.compile(r"extraneous bytes before marker|Invalid SOS parameters")
_PNG, _IDAT, _ACTL = b"\x89PNG\r\n\x1a\n", b"IDAT", b"acTL"


class Facts(NamedTuple):
    """What a check finds out about a picture: pixels once it is upright, and the last two as in `Source`."""

    width: int
    height: int
    converts: bool = False
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A checked picture. `digest`: SHA-256 in hexadecimal. `width`, `height`: pixels once it is upright.

    `folder`: what the file may not lead out of. `converts`: its numbers mean other colours than sRGB's.
    `warning`: what is odd about a picture that every browser shows all the same.
    """

    path: Path
    folder: Path
    digest: str
    width: int
    height: int
    converts: bool = False
    warning: str | None = None

    @classmethod
    def of(cls, path: Path, folder: Path, digest: str, facts: Facts) -> "Source":
        """A picture that was checked before."""
        return cls(path, folder, digest, *facts)

    @property
    def facts(self) -> Facts:
        """What the check found out."""
        return Facts(self.width, self.height, self.converts, self.warning)

    @property
    def name(self) -> str:
        """How recipes call these bytes."""
        return self.digest[:32]

    def read(self) -> bytes:
        """The checked bytes. Raises: Unavailable("asset-unavailable") if they are gone or have changed."""
        try:
            data = read_regular(self.path, self.folder)
        except OSError as error:
            raise Unavailable("asset-unavailable", f"{self.path.name}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise Unavailable("asset-unavailable", f"{self.path.name}: has changed since it was checked")
        return data


def check_source(path: Path, folder: Path | None = None) -> Source:
    """Open a picture and decode all of it. `folder`: what it may not lead out of; its own where none is given.

    Raises: Rejected("asset-refused") naming the file and the reason.
    """
    folder = path.parent if folder is None else folder
    data = _read(path, folder)
    if _is_animated_png(data):
        raise _refused(path, "expected one picture, got an animated PNG")
    try:
        image = Image.new_from_buffer(data, "", access="sequential")
    except VipsError as error:
        raise _refused(path, f"not a JPEG, PNG, WebP or AVIF picture ({_first_line(error)})") from error
    _check_header(path, image)
    warning = _check_pixels(path, data, image.get("vips-loader"))
    turned = image.get_typeof("orientation") != 0 and image.get("orientation") >= 5
    width, height = (image.height, image.width) if turned else (image.width, image.height)
    digest = hashlib.sha256(data).hexdigest()
    return Source(path, folder, digest, width, height, not is_srgb(image), warning)


def facts_as_json(path: Path, folder: Path) -> bytes:
    """What `check_source` finds out, as bytes that cross a process. Raises: as `check_source`."""
    return json.dumps([*check_source(path, folder).facts]).encode()


def facts_of_json(data: bytes) -> Facts:
    """The way back, from a process that has met a hostile picture. Raises: Unavailable("render-failed")."""
    try:
        width, height, converts, warning = json.loads(data)
        if not (1 <= int(width) <= MAX_SIDE and 1 <= int(height) <= MAX_SIDE):
            raise ValueError("size")
        return Facts(int(width), int(height), bool(converts), None if warning is None else str(warning)[:200])
    except (ValueError, TypeError) as error:
        raise Unavailable("render-failed", "not what a check finds out") from error


def _read(path: Path, folder: Path) -> bytes:
    try:
        return read_regular(path, folder)
    except OSError as error:
        raise _refused(path, error.strerror or "cannot be read") from error


def _check_header(path: Path, image: Image) -> None:
    """What the header says is enough to refuse a pixel bomb; nothing is decoded for it."""
    loader = image.get("vips-loader")
    if loader == "heifload_buffer" and image.get("heif-compression") != "av1":
        raise _refused(path, "HEIF other than AVIF is not served")
    if max(image.width, image.height) > MAX_SIDE:
        raise _refused(path, f"{image.width} x {image.height} pixels: a side is longer than {MAX_SIDE}")
    interlaced, avif = image.get_typeof("interlaced") != 0, loader == "heifload_buffer"
    limit = MAX_WHOLE_PIXELS if interlaced or avif else MAX_SOURCE_PIXELS
    if image.width * image.height > limit:
        kind = "interlaced " if interlaced else "AVIF of " if avif else ""
        raise _refused(path, f"{kind}{image.width} x {image.height} pixels are more than {limit}")
    if image.get_n_pages() > 1:
        raise _refused(path, f"expected one picture, got {image.get_n_pages()} frames")


def _check_pixels(path: Path, data: bytes, loader: str) -> str | None:
    """Decode to the end, a JPEG at an eighth of its size; what is odd about it, if every browser shows it whole.

    Not by `thumbnail_buffer`: libvips 8.18 takes its `fail_on` and accepts a truncated JPEG or PNG all the same.
    """
    jpeg = loader == "jpegload_buffer"
    complaint = _complaint(data, shrink=8) if jpeg else _complaint(data)
    if complaint is None or (jpeg and _HARMLESS.search(complaint)):
        return complaint
    if jpeg and _complaint(data + _EOI) is None and _ends_in_picture(data + _EOI):
        return "the end-of-image marker is missing"
    raise _refused(path, f"corrupt or truncated ({complaint})")


def _complaint(data: bytes, **options: int) -> str | None:
    """What libvips first says of the pixels, if anything."""
    try:
        Image.new_from_buffer(data, "", access="sequential", fail_on="warning", **options).avg()
    except VipsError as error:
        return _first_line(error)
    return None


def _ends_in_picture(data: bytes) -> bool:
    """Whether the last block is more than one flat colour, which is what a decoder fills missing blocks with."""
    image = Image.new_from_buffer(data, "", access="sequential")
    width, height = (image.width - 1) % 8 + 1, (image.height - 1) % 8 + 1
    return bool(image.crop(image.width - width, image.height - height, width, height).deviate() > 0)


def _is_animated_png(data: bytes) -> bool:
    """The control chunk of an animation comes before the first picture data (APNG 1.0, section 3)."""
    return data.startswith(_PNG) and -1 < data.find(_ACTL) < data.find(_IDAT)


def _first_line(error: VipsError) -> str:
    return str(error).strip().partition("\n")[2].partition("\n")[0].strip() or "unreadable"


def _refused(path: Path, reason: str) -> Rejected:
    return Rejected("asset-refused", f"{path}: {reason}")
