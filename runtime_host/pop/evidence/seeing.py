"""The last cosigned checkpoint that this POP knows, taken only with a proof that the ledger grew from the one before.

    seen = await Seeing(control_plane, trust).look(before)

The proof is computed here, from public tiles; who is shown another ledger than before says so. Every attestation and
statement names what its POP had seen, so it was made after it.
"""

from collections.abc import Callable

from consent_core.errors import Untrusted
from consent_core.formats.note import MAX_NOTE_BYTES, Checkpoint
from consent_core.formats.seen import Seen
from consent_core.formats.tile import WIDTH, TileHashes, tile_path
from consent_core.formats.tlog import HASH_BYTES, consistency_path, verify_consistency
from consent_core.trust.checkpoints import open_trusted
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.sync.fetch import ControlPlane

CHECKPOINT = "/ledger/checkpoint"
MOST_TILES = 64  # a proof between any two trees needs fewer


class _Missing(Exception):
    """A tile that was not fetched yet."""

    def __init__(self, tile: tuple[int, int, int]) -> None:
        super().__init__(tile)
        self.tile = tile


class Seeing:
    """Looks at the public ledger through the control plane. `trust()`: the trust file in force."""

    def __init__(self, control_plane: ControlPlane, trust: Callable[[], TrustFile]) -> None:
        self._control_plane = control_plane
        self._trust = trust

    async def look(self, before: Seen) -> Seen:
        """The newest checkpoint, or `before` if there is no larger one.

        Raises: Untrusted("ledger-forked" | "proof" | "tile" | "note-…" | "witness-quorum"), Unavailable.
        """
        reply = await self._control_plane.get(CHECKPOINT, limit=MAX_NOTE_BYTES)
        if reply.status != 200:
            return before
        tree = open_trusted(reply.body, self._trust()).checkpoint
        if tree.size <= before.size:
            if tree.size == before.size and tree.root != before.root:
                raise Untrusted("ledger-forked", f"two ledgers of size {tree.size} were shown to this POP")
            return before
        if before.size:
            await self._require_growth(before, tree)
        return Seen(tree.size, tree.root)

    async def _require_growth(self, before: Seen, tree: Checkpoint) -> None:
        tiles: dict[tuple[int, int, int], bytes] = {}

        def read(level: int, n: int, width: int) -> bytes:
            if (level, n, width) not in tiles:
                raise _Missing((level, n, width))
            return tiles[level, n, width]

        for _ in range(MOST_TILES):
            try:
                proof = consistency_path(before.size, tree.size, TileHashes(tree.size, read))
                return verify_consistency(before.size, before.root, tree.size, tree.root, proof)
            except _Missing as missing:
                tiles[missing.tile] = await self._fetch(*missing.tile)
        raise Untrusted("proof", f"a proof of more than {MOST_TILES} tiles")

    async def _fetch(self, level: int, n: int, width: int) -> bytes:
        reply = await self._control_plane.get(f"/ledger/{tile_path(level, n, width)}", limit=WIDTH * HASH_BYTES)
        if reply.status != 200:
            raise Untrusted("tile", f"the ledger has no tile {level}/{n} of {width} hashes")
        return reply.body
