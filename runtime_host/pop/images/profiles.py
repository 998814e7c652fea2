"""Whether a colour profile says anything that sRGB does not: judged by what it does to colours, never by its name.

GIMP's "built-in Linear sRGB" carries sRGB in its name and shows 55 where sRGB shows 128.
"""

from functools import lru_cache

from runtime_host.pop.images.libvips import Image, VipsError

_STEPS = (0, 32, 64, 96, 128, 160, 192, 224, 255)
SEEN = 1  # of 255: the largest difference that rounding alone makes


def is_srgb(image: Image) -> bool:
    """Whether the picture's numbers mean sRGB: converting them would change none by more than `SEEN`."""
    if image.interpretation not in ("srgb", "b-w"):
        return False
    if image.get_typeof("icc-profile-data") == 0:
        return True
    return _changes_nothing(image.get("icc-profile-data"), image.interpretation == "b-w")


@lru_cache(maxsize=64)  # a catalogue's pictures share few profiles
def _changes_nothing(profile: bytes, grey: bool) -> bool:
    try:
        before = _patches(grey)
        shown = before.copy()
        shown.set_type(_blob_type(), "icc-profile-data", profile)
        after = shown.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
        wanted = before if not grey else before.bandjoin([before, before])
        return bool((after.cast("int") - wanted.cast("int")).abs().max() <= SEEN)
    except VipsError:  # a profile that cannot be used: converting decides
        return False


def _patches(grey: bool) -> Image:
    """Greys, or every combination of nine steps of red, green and blue."""
    if grey:
        return Image.new_from_list([list(_STEPS)]).cast("uchar").copy(interpretation="b-w")
    values = bytes(value for red in _STEPS for green in _STEPS for blue in _STEPS for value in (red, green, blue))
    return Image.new_from_memory(values, len(values) // 3, 1, 3, "uchar").copy(interpretation="srgb")


def _blob_type() -> int:
    import pyvips  # the type's number is libvips' own

    return int(pyvips.GValue.blob_type)
