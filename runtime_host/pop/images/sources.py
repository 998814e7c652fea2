"""Source pictures: checked completely when a catalogue is loaded, read again and compared when one is rendered.

A picture that is corrupt, too large or of another format is refused at start with its file named; no request ever
meets it. The bytes are not kept: a render reads the file and refuses bytes whose digest has changed.

Trust: the art directory is *not* trusted after start; whoever can write to it can at most make renders fail.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import Rejected, Unavailable
from runtime_host.pop.images.libvips import Image, VipsError

MAX_SOURCE_BYTES = 32_000_000
MAX_SOURCE_PIXELS = 50_000_000
MAX_PROGRESSIVE_PIXELS = 12_000_000  # a progressive JPEG cannot be shrunk while loading: each pixel is held in memory


@dataclass(frozen=True, slots=True)
class Source:
    """A checked picture. `digest`: SHA-256 in hexadecimal. `width`, `height`: pixels once it is upright.

    `converts`: its colours are described by a profile other than sRGB, or are not RGB.
    """

    path: Path
    digest: str
    width: int
    height: int
    converts: bool = False

    @property
    def name(self) -> str:
        """How recipes call these bytes."""
        return self.digest[:32]

    def read(self) -> bytes:
        """The checked bytes. Raises: Unavailable("asset-unavailable") if they are gone or have changed."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise Unavailable("asset-unavailable", f"{self.path.name}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise Unavailable("asset-unavailable", f"{self.path.name}: has changed since it was checked")
        return data


def check_source(path: Path) -> Source:
    """Open a picture and decode all of it. Raises: Rejected("asset-refused") naming the file and the reason."""
    data = _read(path)
    try:
        image = Image.new_from_buffer(data, "", access="sequential")
    except VipsError as error:
        raise _refused(path, f"not a JPEG, PNG, WebP or AVIF picture ({_first_line(error)})") from error
    _check_header(path, image)
    _check_pixels(path, data, image.get("vips-loader"))
    turned = image.get_typeof("orientation") != 0 and image.get("orientation") >= 5
    width, height = (image.height, image.width) if turned else (image.width, image.height)
    return Source(path, hashlib.sha256(data).hexdigest(), width, height, _converts(image))


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_SOURCE_BYTES:
            raise _refused(path, f"expected at most {MAX_SOURCE_BYTES} bytes, got {size}")
        return path.read_bytes()
    except OSError as error:
        raise _refused(path, error.strerror or "cannot be read") from error


def _check_header(path: Path, image: Image) -> None:
    """What the header says is enough to refuse a pixel bomb; nothing is decoded for it."""
    loader = image.get("vips-loader")
    if loader == "heifload_buffer" and image.get("heif-compression") != "av1":
        raise _refused(path, "HEIF other than AVIF is not served")
    progressive = image.get_typeof("interlaced") != 0
    limit = MAX_PROGRESSIVE_PIXELS if progressive else MAX_SOURCE_PIXELS
    if image.width * image.height > limit:
        kind = "interlaced " if progressive else ""
        raise _refused(path, f"{kind}{image.width} x {image.height} pixels are more than {limit}")
    if image.get_n_pages() > 1:
        raise _refused(path, f"expected one picture, got {image.get_n_pages()} frames")


def _check_pixels(path: Path, data: bytes, loader: str) -> None:
    """Decode to the end, a JPEG at an eighth of its size.

    Not by `thumbnail_buffer`: libvips 8.18 takes its `fail_on` and accepts a truncated JPEG or PNG all the same.
    """
    shrink = {"shrink": 8} if loader == "jpegload_buffer" else {}
    try:
        Image.new_from_buffer(data, "", access="sequential", fail_on="warning", **shrink).avg()
    except VipsError as error:
        raise _refused(path, f"corrupt or truncated ({_first_line(error)})") from error


def _converts(image: Image) -> bool:
    """Converting costs more than all the rest of a render, so colours that are sRGB already are left alone."""
    if image.interpretation not in ("srgb", "b-w"):
        return True
    if image.get_typeof("icc-profile-data") == 0:
        return False
    profile: bytes = image.get("icc-profile-data")
    return not any("sRGB".encode(encoding) in profile for encoding in ("ascii", "utf-16-be"))


def _first_line(error: VipsError) -> str:
    return str(error).strip().partition("\n")[2].partition("\n")[0].strip() or "unreadable"


def _refused(path: Path, reason: str) -> Rejected:
    return Rejected("asset-refused", f"{path}: {reason}")
