"""What may become a source picture: everything else is refused when the catalogue is loaded, with the file named."""

import os
import struct
import zlib
from pathlib import Path

import pytest
import pyvips

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.catalogue import parse_catalogue
from runtime_host.pop.images import load_catalogue
from runtime_host.pop.images.libvips import Image, VipsError
from runtime_host.pop.images.sources import check_source
from tests.conftest import ROOT
from tests.runtime_host.images.pictures import field, write_jpeg


def refusal(path: Path) -> str:
    with pytest.raises(Rejected) as refused:
        check_source(path)
    assert refused.value.code == "asset-refused"
    assert str(path) in refused.value.message
    return refused.value.message


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def noise() -> Image:
    return Image.gaussnoise(600, 400, sigma=30, mean=128, seed=1).cast("uchar")


def png_header(width: int, height: int, rest: bytes = b"") -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rest) + chunk(b"IEND", b"")


def test_each_served_format_is_accepted(tmp_path: Path) -> None:
    """JPEG, PNG, WebP and AVIF, with their size and digest."""
    image = field(300, 200)
    files = {
        "a.jpg": image.jpegsave_buffer(),
        "a.png": image.pngsave_buffer(),
        "a.webp": image.webpsave_buffer(),
        "a.avif": image.heifsave_buffer(compression="av1", effort=0),
    }
    for name, data in files.items():
        source = check_source(write(tmp_path / name, data))

        assert (source.width, source.height) == (300, 200)
        assert data == source.read()


def test_a_pixel_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """30,000 × 30,000 pixels in 100 bytes: the header is enough."""
    message = refusal(write(tmp_path / "bomb.png", png_header(30_000, 30_000, zlib.compress(b"\0" * 9))))

    assert "30000 x 30000" in message


def test_a_progressive_jpeg_has_a_lower_limit(tmp_path: Path) -> None:
    """It must be held in memory as a whole, so 16 megapixels are too many where 16 of a plain one are not."""
    large = field(4000, 4000)

    check_source(write_jpeg(tmp_path / "plain.jpg", large))
    assert "interlaced" in refusal(write_jpeg(tmp_path / "progressive.jpg", large, interlace=True))


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, keep: float) -> None:
    """However little is missing."""
    data = noise().write_to_buffer(f".{suffix}")

    refusal(write(tmp_path / f"cut.{suffix}", data[: int(len(data) * keep)]))


def test_a_corrupt_picture_is_refused(tmp_path: Path) -> None:
    """A hole in the middle is found by decoding. (WebP has no check sums: a hole in it is a picture too.)"""
    for suffix in ("jpg", "png"):
        data = noise().write_to_buffer(f".{suffix}")
        middle = len(data) // 2
        holed = data[:middle] + b"\xff\xd9" * 500 + data[middle + 1000 :]

        assert "corrupt" in refusal(write(tmp_path / f"hole.{suffix}", holed)), suffix


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("script.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script></svg>'),
        (
            "named.jpg",
            b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
        ),
        ("text.jpg", b"not a picture at all"),
        ("page.jpg", b"%PDF-1.4\n"),
        ("old.ppm", b"P6\n2 2\n255\n" + bytes(12)),
        ("empty.jpg", b""),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    """SVG above all, by content and not by name."""
    assert "not a JPEG, PNG, WebP or AVIF" in refusal(write(tmp_path / name, data))


def test_gif_and_tiff_loaders_are_switched_off(tmp_path: Path) -> None:
    """Formats libvips knows and this server does not serve never reach their decoders."""
    for suffix in ("gif", "tif"):
        data = field(30, 20).write_to_buffer(f".{suffix}")
        with pytest.raises(VipsError):
            Image.new_from_buffer(data, "")
        refusal(write(tmp_path / f"a.{suffix}", data))


def test_an_animation_is_refused(tmp_path: Path) -> None:
    """One picture per asset."""
    data = field(40, 60, mark=(0.5, 0.5)).webpsave_buffer(page_height=20)

    assert "3 frames" in refusal(write(tmp_path / "moving.webp", data))


def test_too_many_bytes_are_refused_unread(tmp_path: Path) -> None:
    """The size on disk is enough."""
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(32_000_001)

    assert "at most 32000000 bytes" in refusal(path)


def test_a_missing_file_or_a_directory_is_refused(tmp_path: Path) -> None:
    """Named like everything else."""
    refusal(tmp_path / "gone.jpg")
    refusal(tmp_path)


def test_a_picture_lying_on_its_side_is_measured_upright(tmp_path: Path) -> None:
    """Cameras record an orientation; sizes and focal points mean the picture as people see it."""
    image = field(300, 200).copy()
    image.set_type(_GINT, "orientation", 6)
    source = check_source(write_jpeg(tmp_path / "turned.jpg", image))

    assert (source.width, source.height) == (200, 300)


_GINT = field(2, 2).get_typeof("width")


def test_a_file_that_changed_after_its_check_is_not_rendered(tmp_path: Path) -> None:
    """A process that can write to the art directory can make renders fail, and no more."""
    source = check_source(write_jpeg(tmp_path / "a.jpg", field()))
    write_jpeg(tmp_path / "a.jpg", field(mark=(0.5, 0.5)))

    with pytest.raises(Unavailable) as changed:
        source.read()
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(Unavailable) as gone:
        source.read()

    assert {"asset-unavailable"} == {changed.value.code, gone.value.code}


def test_a_catalogue_with_a_bad_picture_does_not_load(tmp_path: Path) -> None:
    """The whole catalogue is refused, and the message names the file."""
    catalogue = Path(__file__).parents[3] / "demo" / "catalogue.toml"

    with pytest.raises(Rejected, match=r"quiet-valley\.jpg") as refused:
        load_catalogue(catalogue, tmp_path)
    assert refused.value.code == "asset-refused"
    with pytest.raises(Rejected, match=r"nothing\.toml"):
        load_catalogue(tmp_path / "nothing.toml", tmp_path)


def jpeg_parts() -> tuple[bytes, int, int]:
    """A JPEG, where its scan header begins, and how long that is."""
    data = noise().jpegsave_buffer()
    at = data.index(b"\xff\xda")
    return data, at, 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def odd_pictures() -> dict[str, bytes]:
    data, at, length = jpeg_parts()
    scan = bytearray(data[at : at + length])
    scan[-3:] = bytes(3)
    return {
        "no end marker": data[:-2],
        "bytes between segments": data[:at] + bytes(3) + data[at:],
        "odd scan parameters": data[:at] + bytes(scan) + data[at + length :],
    }


@pytest.mark.parametrize("name", ["no end marker", "bytes between segments", "odd scan parameters"])
def test_a_picture_that_every_browser_shows_is_taken_with_a_warning(tmp_path: Path, name: str) -> None:
    """One phone's photo does not stop a POP."""
    source = check_source(write(tmp_path / "a.jpg", odd_pictures()[name]))

    assert source.warning


@pytest.mark.parametrize("make", ["fifo", "device", "directory", "link out", "link to a device"])
def test_only_a_regular_file_of_the_folder_is_opened(tmp_path: Path, make: str) -> None:
    """A FIFO would hold a thread for ever, /dev/zero never ends, a link may lead to anything of this machine."""
    folder, outside = tmp_path / "art", tmp_path / "outside.jpg"
    folder.mkdir()
    write_jpeg(outside, field())
    path = folder / "a.jpg"
    match make:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "link out":
            path.symlink_to(outside)
        case "link to a device":
            (folder / "b.jpg").symlink_to("/dev/zero")
            path.symlink_to(folder / "b.jpg")

    refusal(path)


def test_a_picture_that_becomes_a_fifo_fails_its_render_and_holds_nobody(tmp_path: Path) -> None:
    """Checked at the start, replaced afterwards: the read ends at once."""
    path = write_jpeg(tmp_path / "a.jpg", field())
    source = check_source(path)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(Unavailable) as failed:
        source.read()
    assert failed.value.code == "asset-unavailable"


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """Kubernetes mounts configuration as links into a folder of its own, below the same place."""
    write_jpeg(tmp_path / "real.jpg", field())
    (tmp_path / "a.jpg").symlink_to(tmp_path / "real.jpg")

    assert check_source(tmp_path / "a.jpg", tmp_path).width > 0


@pytest.mark.parametrize(("width", "height"), [(50_000_000, 1), (1, 50_000_000), (16_385, 1)])
def test_a_side_that_overflows_is_refused(tmp_path: Path, width: int, height: int) -> None:
    """Few pixels, and none that could be shown."""
    assert "side" in refusal(write(tmp_path / "long.png", png_header(width, height)))


def test_an_animated_png_is_refused_like_other_animations(tmp_path: Path) -> None:
    """libvips shows the first frame and does not say that there are more."""
    data = noise().pngsave_buffer()
    at = data.index(b"IDAT") - 4
    control = struct.pack(">II", 2, 0)
    chunk = struct.pack(">I", 8) + b"acTL" + control + struct.pack(">I", zlib.crc32(b"acTL" + control))

    assert "animated" in refusal(write(tmp_path / "a.png", data[:at] + chunk + data[at:]))


def gamma_profile(path: Path, gamma: float) -> bytes:
    """A profile whose name says sRGB and whose curve is a plain power: what GIMP's linear one is, by construction."""
    image = Image.black(8, 8, bands=3).copy(interpretation="srgb").icc_export(output_profile="srgb", depth=8)
    profile = bytearray(image.get("icc-profile-data"))
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        place = profile.index(tag)
        offset, size = struct.unpack(">II", profile[place + 4 : place + 12])
        profile[offset : offset + size] = (b"curv" + bytes(4) + struct.pack(">IH", 1, int(gamma * 256))).ljust(
            size, b"\0"
        )
    return bytes(profile)


@pytest.mark.parametrize(("gamma", "converts"), [(1.0, True), (1.8, True), (None, False)])
def test_a_profile_is_judged_by_its_curves_not_by_its_name(tmp_path: Path, gamma: float | None, converts: bool) -> None:
    """A linear profile that calls itself sRGB shows other colours than sRGB; sRGB's own shows the same."""
    image = noise().bandjoin([noise(), noise()]).copy(interpretation="srgb")
    if gamma is None:
        data = image.icc_export(output_profile="srgb", depth=8).jpegsave_buffer()
    else:
        tagged = image.copy()
        tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", gamma_profile(tmp_path, gamma))
        data = tagged.jpegsave_buffer(keep="icc")

    assert check_source(write(tmp_path / "a.jpg", data)).converts is converts


def test_a_broken_picture_is_left_out_and_named(tmp_path: Path) -> None:
    """The POP starts with the others; only a slot without a default stops it."""
    catalogue = ROOT / "demo" / "catalogue.toml"
    parsed = parse_catalogue(catalogue.read_bytes())
    defaults = {slot.default for slot in parsed.slots.values()}
    for asset in parsed.assets.values():
        write_jpeg((tmp_path / asset.file).with_suffix(".tmp.jpg"), field()).rename(tmp_path / asset.file)
    broken = next(asset for asset in parsed.assets.values() if asset.id not in defaults)
    write(tmp_path / broken.file, b"no picture")

    loaded = load_catalogue(catalogue, tmp_path)

    assert list(loaded.refused) == [broken.id]
    assert all(broken.id not in slot.candidates for slot in loaded.catalogue.slots.values())
    write(tmp_path / parsed.assets[next(iter(defaults))].file, b"no picture")
    with pytest.raises(Rejected) as refused:
        load_catalogue(catalogue, tmp_path)
    assert refused.value.code == "asset-refused"
