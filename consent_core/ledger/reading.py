"""One published checkpoint, and what lies below it. Nothing is believed that does not lead to the cosigned root.

ledger = open_ledger(source, trust)
ledger.opened.witness_time, ledger.size
leaves = ledger.verified_leaves()        # every leaf and every tile, recomputed
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.leaf import read_leaf
from consent_core.formats.note import OpenedCheckpoint
from consent_core.formats.tile import ENTRIES, WIDTH, TileHashes, cut_bundle, read_bundle, tile_path, tile_width, tiles
from consent_core.formats.tlog import HASH_BYTES, LeafHashes, fold, leaf_hash, root_hash
from consent_core.ledger.sources import Source
from consent_core.trust.checkpoints import open_in_force
from consent_core.trust.trust_file import TrustFile

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class PublishedLedger:
    """The files below one checkpoint. `note`: its bytes."""

    source: Source
    note: bytes
    opened: OpenedCheckpoint

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self.opened.checkpoint.size

    @property
    def hashes(self) -> TileHashes:
        """Its complete subtrees, from tiles: proofs made from wrong ones lead nowhere."""
        return TileHashes(self.size, self.tile)

    def tile(self, level: int, n: int, width: int) -> bytes:
        """The first `width` hashes of a tile. Raises: Untrusted("tile"), Unavailable."""
        return self._file(level, n, width)[: width * HASH_BYTES]

    def bundle(self, n: int) -> list[bytes]:
        """The leaves of bundle `n`. Raises: Untrusted("tile"), Unavailable."""
        width = tile_width(0, n, self.size)
        return read_bundle(cut_bundle(self._file(ENTRIES, n, width), width), width)

    def leaves(self, low: int, high: int) -> Iterator[bytes]:
        """Leaves `low` until before `high`, each in the tile that the checkpoint's root is made of."""
        for n in range(low // WIDTH, (high + WIDTH - 1) // WIDTH):
            bundle = self.bundle(n)
            if b"".join(map(leaf_hash, bundle)) != self.tile(0, n, len(bundle)):
                raise Untrusted("tile", f"bundle {n} is not what tile {n} was made of")
            first = n * WIDTH
            yield from bundle[max(low - first, 0) : high - first]

    def verified_leaves(self) -> list[bytes]:
        """Every leaf, if root and every tile follow from them.

        Raises: Untrusted("tile" | "proof" | "leaf-malformed").
        """
        leaves = [leaf for n in range((self.size + WIDTH - 1) // WIDTH) for leaf in self.bundle(n)]
        hashes = [leaf_hash(leaf) for leaf in leaves]
        if root_hash(self.size, LeafHashes(hashes)) != self.opened.checkpoint.root:
            raise Untrusted("proof", "the leaves do not have the root that was signed")
        for level, n, width in tiles(self.size):
            hashes = hashes if n or not level else _above(hashes)
            if self.tile(level, n, width) != b"".join(hashes[n * WIDTH : n * WIDTH + width]):
                raise Untrusted("tile", f"{tile_path(level, n, width)} does not follow from the leaves")
        for leaf in leaves:
            read_leaf(leaf)
        return leaves

    def _file(self, level: int | str, n: int, width: int) -> bytes:
        """A partial file may have gone once the full one was there."""
        for path in (tile_path(level, n, width), tile_path(level, n)):
            if (data := self.source.fetch(path)) is not None:
                return data
        raise Untrusted("tile", f"{tile_path(level, n, width)} is missing")


def open_ledger(source: Source, trust: TrustFile) -> PublishedLedger:
    """The newest checkpoint of a ledger, by the trust file's keys, witnesses and quorum.

    Raises: Untrusted("ledger-unpublished" | "note-…" | "witness-quorum" | "trust-key-…"),
            Unavailable("ledger-unreachable").
    """
    note = source.fetch(CHECKPOINT)
    if note is None:
        raise Untrusted("ledger-unpublished", "no checkpoint has been published here yet", status=404)
    return PublishedLedger(source, note, open_in_force(note, trust))


def _above(hashes: Sequence[bytes]) -> list[bytes]:
    """The hashes of one level of tiles higher."""
    return [fold(hashes[at : at + WIDTH]) for at in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]
