"""What a client says it holds already, and what it takes (RFC 9110 sections 12.5.3 and 13.1.2).

if holds(headers.get(b"if-none-match"), '"a1b2"'): return not_modified(…)
if takes_gzip(headers.get(b"accept-encoding", b"")): …
"""

MAX_CONDITION_BYTES = 4_096  # some fifty entity tags; what is longer is ignored, and the whole answer is sent
MAX_ENCODING_BYTES = 512


def holds(condition: bytes | None, etag: str) -> bool:
    """Whether `If-None-Match` names these bytes. A proxy that compresses makes a tag weak: the weak one matches too."""
    if condition is None or len(condition) > MAX_CONDITION_BYTES:
        return False
    known = {tag.strip().removeprefix("W/") for tag in condition.decode("latin-1").split(",")}
    return etag in known or "*" in known


def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether `Accept-Encoding` names gzip without refusing it. `*` alone is not taken for it."""
    if b"gzip" not in accept_encoding.lower() or len(accept_encoding) > MAX_ENCODING_BYTES:
        return False
    return any(_names_gzip(offer) for offer in accept_encoding.lower().split(b","))


def _names_gzip(offer: bytes) -> bool:
    coding, *parameters = (part.strip() for part in offer.split(b";"))
    if coding not in (b"gzip", b"x-gzip"):
        return False
    weights = [
        value.strip() for name, _, value in (part.partition(b"=") for part in parameters) if name.strip() == b"q"
    ]
    return all(_is_weight(weight) for weight in weights)


def _is_weight(weight: bytes) -> bool:
    """Above nought; what is no number refuses."""
    try:
        return 0 < float(weight) <= 1
    except ValueError:
        return False
