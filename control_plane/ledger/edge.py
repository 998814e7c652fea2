"""The right edge of the ledger's tree: all that is needed to add leaves. Pure.

edge, made = edge.extended(leaf_hashes)     # `made`: the tiles that change, by (level, number)
edge.root()
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent_core.formats.tile import HEIGHT, WIDTH, ReadTile
from consent_core.formats.tlog import HASH_BYTES, fold, root_hash

Tiles = dict[tuple[int, int], tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Edge:
    """A tree of `size` leaves: of each level of tiles, the hashes of the last tile if it is not full."""

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()

    @classmethod
    def read(cls, size: int, read: ReadTile) -> "Edge":
        """The edge of a tree whose tiles are at hand. What they hold is checked by `root` against a signed one."""
        levels, level = [], 0
        while size >> (HEIGHT * level):
            n, width = divmod(size >> (HEIGHT * level), WIDTH)
            levels.append(_split(read(level, n, width)) if width else ())
            level += 1
        return cls(size, tuple(levels))

    def extended(self, hashes: Sequence[bytes]) -> tuple["Edge", Tiles]:
        """The edge after these leaves, and every tile that they change."""
        levels, made, new, level = list(self.levels), {}, tuple(hashes), 0
        while new:
            held = (*(levels[level] if level < len(levels) else ()), *new)
            first = (self.size >> (HEIGHT * level)) // WIDTH
            parts = [held[at : at + WIDTH] for at in range(0, len(held), WIDTH)]
            made.update({(level, first + n): part for n, part in enumerate(parts)})
            levels[level : level + 1] = [parts.pop() if len(parts[-1]) < WIDTH else ()]
            new, level = tuple(fold(part) for part in parts), level + 1
        return Edge(self.size + len(hashes), tuple(levels)), made

    def root(self) -> bytes:
        """The root of the tree."""
        return root_hash(self.size, self)

    def subtree(self, level: int, index: int) -> bytes:
        """The complete subtrees at the right edge, which are all that the root is made of."""
        base, above = divmod(level, HEIGHT)
        at = (index << above) % WIDTH
        return fold(self.levels[base][at : at + (1 << above)])


def _split(tile: bytes) -> tuple[bytes, ...]:
    return tuple(tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES))
