"""A ledger for tests: a real database, real files, real witnesses in this process, an injected clock and dice."""

import random
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from consent_core.clock import ManualClock
from consent_core.formats.leaf import commit, person_leaf, read_leaf
from consent_core.formats.note import Checkpoint, OpenedCheckpoint
from consent_core.formats.tile import TileHashes, read_bundle, tiles
from consent_core.formats.tlog import consistency_path, leaf_hash, root_hash, verify_consistency
from consent_core.trust.checkpoints import open_trusted
from consent_core.trust.keys import KeyStore
from control_plane.ledger.sequencer import Parts, Sequencer
from control_plane.ledger.store import LedgerStore, NewLeaf
from control_plane.ledger.tiles import TileDirectory
from control_plane.ledger.witnessing import WitnessAddress, Witnessing
from witness.keys import WitnessKey
from witness.process import KnownLogs
from witness.server import WitnessServer
from witness.store import HeadStore

NOW = 1_800_000_000
SALT = b"s" * 32


@dataclass
class World:
    """`down`: names of witnesses that do not answer."""

    data: Path
    witnesses: int = 3
    quorum: int = 2
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    down: set[str] = field(default_factory=set)
    seed: int = field(default_factory=count(14).__next__)  # two worlds never draw the same padding
    url: str | None = None
    place: Path | None = None

    def __post_init__(self) -> None:
        self.keys = KeyStore.open(self.data, create=True, clock=self.clock)
        self.servers = {f"w{i}": self._witness(f"w{i}") for i in range(1, self.witnesses + 1)}
        trusted = tuple(server.key.trusted for server in self.servers.values())
        self.keys.set_trust(witnesses=trusted, witness_quorum=self.quorum)
        self.store = LedgerStore.open(self.url or f"sqlite:///{self.data / 'ledger.db'}")
        self.public = TileDirectory(self.place or self.data / "public")
        self.random = random.Random(self.seed)
        self.sequencer = self.another_sequencer()

    def another_sequencer(self) -> Sequencer:
        addresses = [WitnessAddress(name, f"http://{name}") for name in self.servers]
        witnessing = Witnessing(addresses, self.keys.trust_file, self._post)
        return Sequencer(Parts(self.store, self.public, witnessing, self.keys, self.clock, self.random))

    def put(self, *names: str) -> list[bytes]:
        leaves = [person(name) for name in names]
        self.store.put([NewLeaf(leaf) for leaf in leaves], self.clock.now())
        return leaves

    def beat(self, *names: str) -> None:
        self.put(*names)
        self.sequencer.beat()

    def close(self) -> None:
        self.store.close()
        for server in self.servers.values():
            server.store.close()

    def published(self) -> OpenedCheckpoint:
        note = self.public.checkpoint()
        assert note is not None
        return open_trusted(note, self.keys.trust_file())

    def entries(self) -> list[bytes]:
        """Every leaf of the published ledger, read and checked as an outsider does."""
        size = self.published().checkpoint.size
        hashes = TileHashes(size, self.public.read)
        assert root_hash(size, hashes) == self.published().checkpoint.root
        found: list[bytes] = []
        for level, n, width in tiles(size):
            if level == 0:
                entries = read_bundle(self.public.bundle(n, width), width)
                assert b"".join(map(leaf_hash, entries)) == self.public.read(0, n, width)
                found += entries
        return found

    def require_grown_from(self, before: Checkpoint) -> None:
        after = self.published().checkpoint
        if before.size:
            path = consistency_path(before.size, after.size, TileHashes(after.size, self.public.read))
            verify_consistency(before.size, before.root, after.size, after.root, path)

    def _witness(self, name: str) -> WitnessServer:
        directory = self.data / "witnesses" / name
        key = WitnessKey.open(directory, name, create=True)
        logs = KnownLogs(self.data / "trust.json", self.clock)
        return WitnessServer(key, HeadStore(directory / "heads.db"), logs, self.clock)

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        name = url.removeprefix("http://").split("/")[0]
        if name in self.down:
            raise httpx.ConnectError("down")
        response = self.servers[name].add_checkpoint(body)
        return response.status_code, bytes(response.body)


def person(name: str) -> bytes:
    return person_leaf(commit(name.encode(), SALT))


def commitments(leaves: list[bytes]) -> list[bytes]:
    return [read_leaf(leaf).commitment for leaf in leaves]


def status(world: World) -> dict[str, Any]:
    return {"size": world.sequencer.progress.size, "published": world.sequencer.progress.published}
