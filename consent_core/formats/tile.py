"""Tiles: a log as files that never change. Wire format: `docs/formats/tlog.md`.

    tile_path(0, 273, 256) == "tile/0/273"       tile_path(1, 1, 17) == "tile/1/001.p/17"
    hashes = TileHashes(size, lambda level, n, width: fetched bytes)
    proof = inclusion_path(index, size, hashes)

A tile of level L holds up to 256 hashes of complete subtrees of height 8·L; a bundle holds the entries of one tile of
level 0. Tiles are not trusted: a proof made from a wrong one does not lead to the signed root.

Source: c2sp.org/tlog-tiles.
"""

from collections.abc import Callable, Iterator, Sequence

from consent_core.errors import Untrusted
from consent_core.formats.tlog import HASH_BYTES, fold

WIDTH = 256  # hashes in a full tile
HEIGHT = 8  # levels of the tree in one level of tiles
ENTRIES = "entries"

# read(level, n, width) -> the bytes of that tile
ReadTile = Callable[[int, int, int], bytes]


def tile_path(level: int | str, n: int, width: int = WIDTH) -> str:
    """Where a tile (or bundle, level `entries`) lies: groups of three digits, all but the last marked by an x."""
    groups = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        groups.insert(0, f"x{n % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == WIDTH else f".p/{width}")


def tile_width(level: int, n: int, size: int) -> int:
    """How many hashes tile `n` of a level has in a tree of `size` leaves; 0 or less: there is none."""
    return min(WIDTH, (size >> (HEIGHT * level)) - n * WIDTH)


def tiles(size: int, since: int = 0) -> Iterator[tuple[int, int, int]]:
    """(level, n, width) of each tile that a tree of `size` has and one of `since` leaves had not; leaves first."""
    level = 0
    while size >> (HEIGHT * level):
        n = (since >> (HEIGHT * level)) // WIDTH
        while (width := tile_width(level, n, size)) > 0:
            if width != tile_width(level, n, since):
                yield level, n, width
            n += 1
        level += 1


def write_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries of one tile, each with its length before it."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def read_bundle(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle. Raises: Untrusted("tile")."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        end = at + 2 + int.from_bytes(data[at : at + 2])
        entries.append(data[at + 2 : end])
        at = end
    if at != len(data) or len(entries) != width:
        raise Untrusted("tile", f"expected a bundle of exactly {width} entries")
    return entries


def cut_bundle(data: bytes, width: int) -> bytes:
    """The first `width` entries of a bundle that may hold more. Raises: Untrusted("tile") if it holds fewer."""
    at = 0
    for _ in range(width):
        at += 2 + int.from_bytes(data[at : at + 2])
        if at > len(data) or at < 2:
            raise Untrusted("tile", f"expected a bundle of at least {width} entries")
    return data[:at]


class TileHashes:
    """The complete subtrees of a tree of `size` leaves, read from tiles; each tile is read once."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def subtree(self, level: int, index: int) -> bytes:
        """A hash of a tile, or the root over those below it. Raises: Untrusted("tile")."""
        base, above = divmod(level, HEIGHT)
        first = index << above
        tile = self._tile(base, first // WIDTH)
        at = first % WIDTH * HASH_BYTES
        span = tile[at : at + (HASH_BYTES << above)]
        if len(span) != HASH_BYTES << above:
            raise Untrusted("tile", "the tree has no such complete subtree")
        return fold([span[i : i + HASH_BYTES] for i in range(0, len(span), HASH_BYTES)])

    def _tile(self, level: int, n: int) -> bytes:
        if (level, n) not in self._tiles:
            width = tile_width(level, n, self._size)
            tile = self._read(level, n, width) if width > 0 else b""
            if len(tile) != max(width, 0) * HASH_BYTES:
                raise Untrusted("tile", f"expected a tile of {width} hashes")
            self._tiles[level, n] = tile
        return self._tiles[level, n]
