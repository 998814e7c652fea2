"""Which format a browser gets, from its `Accept` header (RFC 9110 section 12.5.1).

AVIF and WebP only for a client that names them: a wildcard comes from clients of all ages, and they get JPEG.
An answer with the result carries `Vary: Accept`, on the JPEG answer too.
"""

import re
from functools import lru_cache

PREFERENCE = ("avif", "webp", "jpeg")  # smallest first
MAX_ACCEPT = 512  # characters; longer ones are not a browser's
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def negotiate(accept: str | None) -> str:
    """The best of `avif`, `webp` and `jpeg` for this header. JPEG is the answer to anything unclear."""
    if not accept or len(accept) > MAX_ACCEPT:
        return "jpeg"
    return _negotiate(accept)


@lru_cache(maxsize=256)
def _negotiate(accept: str) -> str:
    ranges = dict(_media_range(part) for part in accept.lower().split(","))
    wildcard = ranges.get("image/*", ranges.get("*/*", 0.0))
    weights = {
        "avif": ranges.get("image/avif", 0.0),
        "webp": ranges.get("image/webp", 0.0),
        "jpeg": ranges.get("image/jpeg", wildcard),
    }
    best = max(PREFERENCE, key=lambda name: weights[name])  # of equals the first, which is the smallest
    return best if weights[best] > 0 else "jpeg"


def _media_range(part: str) -> tuple[str, float]:
    """A media range and its weight; a weight that is not of RFC form counts as refused."""
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return name, float(value.strip()) if _QUALITY.fullmatch(value.strip()) else 0.0
    return name, 1.0
