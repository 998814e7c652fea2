"""Merkle proofs: a true one leads to the root, and everything that is almost one is refused."""

import random

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.tile import TileHashes, read_bundle, tile_path, tile_width, tiles, write_bundle
from consent_core.formats.tlog import (
    EMPTY_ROOT,
    LeafHashes,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

# The eight entries and the roots after one to eight of them that certificate-transparency's own tests use.
CT_ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAVES = [leaf_hash(b"%d" % i) for i in range(300)]
SIZES = (1, 2, 3, 5, 7, 8, 64, 100, 255, 256, 257)


def root(size):
    return root_hash(size, LeafHashes(LEAVES))


def inclusion(index, size):
    return inclusion_path(index, size, LeafHashes(LEAVES))


def consistency(old, new):
    return consistency_path(old, new, LeafHashes(LEAVES))


def refused(call, *arguments):
    with pytest.raises(Untrusted) as caught:
        call(*arguments)
    assert caught.value.code == "proof"


def flipped(data, bit=0):
    return bytes([data[0] ^ 1 << bit, *data[1:]])


def wrong_paths(path, root):
    """What transparency-dev's vectors try: nothing, more, less, another order, one bit."""
    yield [*path, b""]
    yield [*path, root]
    yield [root, *path]
    yield [*path, *path, root]
    yield [*path[:-1], path[-1][:31]] if path else [b"\0"]
    if path:
        yield []
        yield path[:-1]
        yield path[1:]
        yield [flipped(path[0]), *path[1:]]
        yield [*path[:-1], flipped(path[-1], 7)]
    if len(path) > 1:
        yield [path[1], path[0], *path[2:]]


def test_roots_are_those_of_certificate_transparency():
    """The hashes are RFC 6962's and not only our own."""
    hashes = LeafHashes([leaf_hash(entry) for entry in CT_ENTRIES])

    assert {size: root_hash(size, hashes).hex() for size in CT_ROOTS} == CT_ROOTS
    assert root_hash(0, hashes) == EMPTY_ROOT


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_refuses_everything_but_the_one_proof(size):
    """Index, size, leaf, root and each hash of the path are bound."""
    for index in {0, size // 2, size - 1}:
        path, leaf, top = inclusion(index, size), LEAVES[index], root(size)
        verify_inclusion(index, size, leaf, path, top)
        for other in {index - 1, index + 1, index ^ 2, size, -1} - {index}:
            refused(verify_inclusion, other, size, leaf, path, top)
        refused(verify_inclusion, index, size * 2, leaf, path, top)
        refused(verify_inclusion, index, index, leaf, path, top)
        refused(verify_inclusion, index, size, flipped(leaf), path, top)
        refused(verify_inclusion, index, size, leaf, path, flipped(top))
        refused(verify_inclusion, index, size, leaf, path, EMPTY_ROOT)
        refused(verify_inclusion, index, size, leaf[:31], path, top)
        for wrong in wrong_paths(path, top):
            refused(verify_inclusion, index, size, leaf, wrong, top)


@pytest.mark.parametrize(("old", "new"), [(a, b) for a in SIZES for b in SIZES if a < b])
def test_consistency_refuses_everything_but_the_one_proof(old, new):
    """Both sizes, both roots and each hash are bound."""
    path, before, after = consistency(old, new), root(old), root(new)
    verify_consistency(old, before, new, after, path)
    for other in {0, old - 1, old + 1, old * 2, new} - {old}:
        refused(verify_consistency, other, before, new, after, path)
    refused(verify_consistency, old, before, old, after, path)
    refused(verify_consistency, old, before, new * 2, after, path)
    refused(verify_consistency, new, after, old, before, path)
    refused(verify_consistency, old, flipped(before), new, after, path)
    refused(verify_consistency, old, before, new, flipped(after), path)
    refused(verify_consistency, old, after, new, before, path)
    refused(verify_consistency, old, before[:31], new, after, path)
    for wrong in wrong_paths(path, after):
        refused(verify_consistency, old, before, new, after, wrong)


def test_an_empty_tree_proves_nothing():
    """Every tree grows from the empty one, so a proof of that would fit two different logs."""
    refused(verify_inclusion, 0, 0, EMPTY_ROOT, [], EMPTY_ROOT)
    refused(verify_consistency, 0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    refused(verify_consistency, 0, EMPTY_ROOT, 5, root(5), [])
    refused(inclusion_path, 0, 0, LeafHashes(LEAVES))
    refused(consistency_path, 0, 5, LeafHashes(LEAVES))


def test_one_size_has_one_root():
    """Two roots of one size are a fork, and a proof is not needed to say that they are equal."""
    verify_consistency(5, root(5), 5, root(5), [])
    refused(verify_consistency, 5, root(5), 5, root(6), [])
    refused(verify_consistency, 5, root(5), 5, root(5), [root(5)])


@given(st.integers(1, 300), st.data())
def test_a_proof_for_one_leaf_fits_no_other(size, data):
    """Whatever leaf and place are tried, only the true pair passes."""
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 299))
    path = inclusion(index, size)
    if other == index:
        verify_inclusion(index, size, LEAVES[other], path, root(size))
    else:
        refused(verify_inclusion, index, size, LEAVES[other], path, root(size))


def test_pymerkle_agrees_on_random_trees():
    """An independent implementation has the same roots and takes the same proofs."""
    rng = random.Random(14)
    theirs, ours = pymerkle.InmemoryTree(algorithm="sha256"), []
    for _ in range(600):
        entry = rng.randbytes(rng.randrange(1, 80))
        theirs.append_entry(entry)
        ours.append(leaf_hash(entry))
    for size in {1, 2, 3, 255, 256, 257, 511, 512, 600, *(rng.randrange(1, 600) for _ in range(40))}:
        hashes = LeafHashes(ours)
        assert root_hash(size, hashes) == theirs.get_root(size)
        index, old = rng.randrange(size), rng.randrange(1, size + 1)
        proof = theirs.prove_inclusion(index + 1, size).serialize()["path"][1:]
        assert sorted(inclusion_path(index, size, hashes)) == sorted(bytes.fromhex(item) for item in proof)
        verify_inclusion(index, size, ours[index], inclusion_path(index, size, hashes), theirs.get_root(size))
        verify_consistency(old, theirs.get_root(old), size, theirs.get_root(size), consistency_path(old, size, hashes))


def tiles_of(leaves):
    """The tiles of a tree, by path, made level by level."""
    made, level, n = {}, leaves, 0
    while level:
        for first in range(0, len(level), 256):
            part = level[first : first + 256]
            made[tile_path(n, first // 256, len(part))] = b"".join(part)
        level = [fold(level[i : i + 256]) for i in range(0, len(level) // 256 * 256, 256)]
        n += 1
    return made


def test_proofs_come_from_tiles_as_well_as_from_leaves():
    """A reader of the public files needs nothing else."""
    leaves = [leaf_hash(b"%d" % i) for i in range(66_000)]
    files, memory = tiles_of(leaves), LeafHashes(leaves)
    hashes = TileHashes(66_000, lambda level, n, width: files[tile_path(level, n, width)])

    assert {tile_path(*tile) for tile in tiles(66_000)} == files.keys()
    assert root_hash(66_000, hashes) == root_hash(66_000, memory)
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        path = inclusion_path(index, 66_000, hashes)
        verify_inclusion(index, 66_000, leaves[index], path, root_hash(66_000, memory))
    for old in (1, 256, 65_536, 65_999):
        path = consistency_path(old, 66_000, hashes)
        verify_consistency(old, root_hash(old, memory), 66_000, root_hash(66_000, memory), path)


def test_tile_paths_are_those_of_the_specification():
    """Other tools find our files."""
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 273, 17) == "tile/entries/273.p/17"
    assert (tile_width(0, 1, 300), tile_width(1, 0, 300), tile_width(1, 1, 300)) == (44, 1, -255)


def test_only_new_tiles_are_listed():
    """A tile that a smaller tree had is not made again."""
    assert list(tiles(300, since=300)) == []
    assert list(tiles(301, since=300)) == [(0, 1, 45)]
    assert list(tiles(512, since=300)) == [(0, 1, 256), (1, 0, 2)]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\3ab", b"\0\1ab", b"\0\1a\0\1b\0\1c"])
def test_a_bundle_holds_exactly_its_entries(data):
    """A truncated or overlong bundle is not read in part."""
    assert read_bundle(write_bundle([b"a", b""]), 2) == [b"a", b""]
    with pytest.raises(Untrusted) as caught:
        read_bundle(data, 2)
    assert caught.value.code == "tile"


@pytest.mark.parametrize("width", [0, 31, 33, 8191])
def test_a_tile_of_another_length_is_refused(width):
    """A lost or truncated tile stops a proof instead of bending it."""
    hashes = TileHashes(256, lambda level, n, wanted: b"\0" * width)
    with pytest.raises(Untrusted) as caught:
        hashes.subtree(0, 3)
    assert caught.value.code == "tile"
