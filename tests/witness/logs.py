"""A log for tests of witnesses: leaves in memory, checkpoints and proofs of any of its sizes, and forks of it."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.formats.add_checkpoint import AddCheckpoint, write_add_checkpoint
from consent_core.formats.note import Checkpoint, sign_checkpoint
from consent_core.formats.tlog import LeafHashes, consistency_path, leaf_hash, root_hash
from consent_core.formats.token import Key

ORIGIN = "ui-tools/consent-edge"


@dataclass
class Signer:
    private: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def signer(seed: bytes) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(seed * 32))


@dataclass
class Log:
    """`leaves`: hashes, oldest first."""

    key: Signer = field(default_factory=lambda: signer(b"l"))
    leaves: list[bytes] = field(default_factory=list)
    origin: str = ORIGIN

    def grow(self, n: int, tag: str = "a") -> "Log":
        self.leaves += [leaf_hash(f"{tag}{i}".encode()) for i in range(n)]
        return self

    def fork(self, size: int) -> "Log":
        """Another story from `size` on."""
        return Log(self.key, self.leaves[:size], self.origin)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = len(self.leaves) if size is None else size
        return Checkpoint(self.origin, size, root_hash(size, LeafHashes(self.leaves)))

    def note(self, size: int | None = None) -> bytes:
        return sign_checkpoint(self.checkpoint(size), [self.key])

    def request(self, old: int, size: int | None = None, proof: list[bytes] | None = None) -> bytes:
        size = len(self.leaves) if size is None else size
        if proof is None:
            proof = consistency_path(old, size, LeafHashes(self.leaves)) if 0 < old <= size else []
        return write_add_checkpoint(AddCheckpoint(old, tuple(proof), self.note(size)))

    @property
    def known(self) -> dict[str, list[Key]]:
        return {self.origin: [Key("ledger-1", "ed25519", self.key.public_key)]}
