"""Merkle trees of a transparency log: hashes, the two proofs, how both are made. Wire format: `docs/formats/tlog.md`.

    verify_inclusion(4, 7, leaf_hash(entry), proof, root)      # returns, or raises Untrusted("proof")
    verify_consistency(4, root4, 7, root7, proof)

A proof is made from a reader of complete subtrees (`Subtrees`): tiles on a disk, or a list in memory.
Roots come from signed checkpoints (`note.py`); an empty tree proves nothing, so size 0 is refused everywhere.

Source: RFC 6962 section 2.1 (hashes and proofs), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification).
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from consent_core.errors import Untrusted

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 6962 section 2.1, the tree of size 0
MAX_SIZE = 2**63 - 1  # c2sp.org/tlog-checkpoint


class Subtrees(Protocol):
    """Who knows the hashes of a tree's complete subtrees."""

    def subtree(self, level: int, index: int) -> bytes:
        """The hash over leaves `index * 2^level` until before `(index + 1) * 2^level`."""
        ...


class LeafHashes:
    """Subtrees of a tree whose leaf hashes are all in memory: for small trees and for tests."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def subtree(self, level: int, index: int) -> bytes:
        """Computed anew each time."""
        return fold(self._leaves[index << level : (index + 1) << level])


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over 2^n hashes of one level."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def root_hash(size: int, subtrees: Subtrees) -> bytes:
    """The root of the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(0, size, subtrees)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return if the leaf of this hash is number `index` of the tree of `size` leaves under `root`.

    Raises: Untrusted("proof").
    """
    _require(0 <= index < size <= MAX_SIZE, "the index is not below the tree's size")
    _require_hashes((leaf, root, *proof))
    inner, border = _path_lengths(index, size)
    _require(len(proof) == inner + border, f"expected {inner + border} hashes, got {len(proof)}")
    computed = _climb_border(_climb(leaf, proof[:inner], index), proof[inner:])
    _require(computed == root, "the path does not lead to the root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the first `old_size` leaves of the new tree are the old tree.

    Raises: Untrusted("proof").
    """
    _require(1 <= old_size <= new_size <= MAX_SIZE, "expected 1 <= old size <= new size")
    if old_size == new_size:
        _require(not proof and old_root == new_root, "one size has one root and needs no proof")
        return
    _require_hashes((old_root, new_root, *proof))
    shared = (old_size & -old_size).bit_length() - 1  # height of the largest subtree at the old tree's right edge
    inner, border = _path_lengths(old_size - 1, new_size)
    inner -= shared
    path = [old_root, *proof] if old_size == 1 << shared else list(proof)
    _require(len(path) == 1 + inner + border, f"the proof has {len(proof)} hashes, which fits no such trees")
    start, steps, edge, at = path[0], path[1 : 1 + inner], path[1 + inner :], (old_size - 1) >> shared
    _require(_climb_border(_climb_left(start, steps, at), edge) == old_root, "the path does not lead to the old root")
    _require(_climb_border(_climb(start, steps, at), edge) == new_root, "the path does not lead to the new root")


def inclusion_path(index: int, size: int, subtrees: Subtrees) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size` leaves. Raises: Untrusted("proof") for no such leaf."""
    _require(0 <= index < size, "the index is not below the tree's size")
    return _inclusion(index, 0, size, subtrees)


def consistency_path(old_size: int, new_size: int, subtrees: Subtrees) -> list[bytes]:
    """The proof that the tree of `old_size` leaves is how that of `new_size` begins. Raises: Untrusted("proof")."""
    _require(1 <= old_size <= new_size, "expected 1 <= old size <= new size")
    return _consistency(old_size, 0, new_size, True, subtrees)


def _inclusion(index: int, low: int, high: int, subtrees: Subtrees) -> list[bytes]:
    """RFC 6962 section 2.1.1, PATH."""
    if high - low == 1:
        return []
    middle = low + _split(high - low)
    if index < middle:
        return [*_inclusion(index, low, middle, subtrees), _range_hash(middle, high, subtrees)]
    return [*_inclusion(index, middle, high, subtrees), _range_hash(low, middle, subtrees)]


def _consistency(old: int, low: int, high: int, known: bool, subtrees: Subtrees) -> list[bytes]:
    """RFC 6962 section 2.1.2, SUBPROOF; `known`: the verifier has this range's hash, it is the old root."""
    if old == high:
        return [] if known else [_range_hash(low, high, subtrees)]
    middle = low + _split(high - low)
    if old <= middle:
        return [*_consistency(old, low, middle, known, subtrees), _range_hash(middle, high, subtrees)]
    return [*_consistency(old, middle, high, False, subtrees), _range_hash(low, middle, subtrees)]


def _range_hash(low: int, high: int, subtrees: Subtrees) -> bytes:
    """MTH of leaves `low` until before `high`, where `low` is a multiple of the range's largest power of two."""
    length = high - low
    if length & (length - 1) == 0:
        level = length.bit_length() - 1
        return subtrees.subtree(level, low >> level)
    middle = low + _split(length)
    return node_hash(_range_hash(low, middle, subtrees), _range_hash(middle, high, subtrees))


def _split(length: int) -> int:
    """The largest power of two below `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def _path_lengths(index: int, size: int) -> tuple[int, int]:
    """How many steps a leaf's path makes below and along the tree's right edge."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _climb(start: bytes, steps: Sequence[bytes], at: int) -> bytes:
    """Up the tree; bit n of `at` says whether step n comes from the left."""
    for level, step in enumerate(steps):
        start = node_hash(step, start) if at >> level & 1 else node_hash(start, step)
    return start


def _climb_left(start: bytes, steps: Sequence[bytes], at: int) -> bytes:
    """The same, leaving out what joined from the right: the tree as it was before that was there."""
    for level, step in enumerate(steps):
        start = node_hash(step, start) if at >> level & 1 else start
    return start


def _climb_border(start: bytes, steps: Sequence[bytes]) -> bytes:
    """Along the tree's right edge, where every step comes from the left."""
    for step in steps:
        start = node_hash(step, start)
    return start


def _require_hashes(hashes: Sequence[bytes]) -> None:
    _require(all(len(item) == HASH_BYTES for item in hashes), f"a hash is {HASH_BYTES} bytes")


def _require(condition: bool, expected: str) -> None:
    if not condition:
        raise Untrusted("proof", expected)
