"""An outsider reads the public files: whatever was changed, lost or told twice is refused by name."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.evidence.bodies import AttesterList, attesters_body
from consent_core.formats.leaf import commit, fact_leaf, public_commitment
from consent_core.formats.note import cosign, sign_checkpoint
from consent_core.formats.seen import Seen
from consent_core.formats.tile import cut_bundle, tile_path, write_bundle
from consent_core.formats.tlog import inclusion_path, leaf_hash, verify_inclusion
from consent_core.formats.tlog_proof import Proof, read_proof, write_proof
from consent_core.ledger.reading import open_ledger
from consent_core.ledger.sources import DirectorySource, HttpSource, source_of
from consent_core.ledger.watching import Watched, look, read_watched, require_grown
from control_plane.ledger.store import NewLeaf
from tests.control_plane.ledger.worlds import SALT, World, person


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def full(world):
    """A ledger of two full tiles and a partial one."""
    world.beat(*(f"n{i}" for i in range(300)))
    world.beat("ann")
    return world


def read(world):
    return open_ledger(DirectorySource(world.public.root), world.keys.trust_file())


def code(call, *arguments):
    with pytest.raises(ConsentEdgeError) as caught:
        call(*arguments)
    return caught.value.code


def test_every_leaf_and_tile_is_recomputed(full):
    """A whole ledger verifies from its files and the trust file alone."""
    leaves = read(full).verified_leaves()

    assert person("ann") in leaves
    assert (len(leaves), read(full).size) == (520, 520)
    assert list(read(full).leaves(500, 520)) == leaves[500:]


@pytest.mark.parametrize("path", [(0, 0, 256), (0, 2, 8), (1, 0, 2), ("entries", 0, 256), ("entries", 2, 8)])
def test_one_changed_byte_of_any_file_is_found(full, path):
    """First, last and middle byte of a tile, an upper tile, a bundle; and the file cut, longer, or gone."""
    file = full.public.root / tile_path(*path)
    content = file.read_bytes()
    for at in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        file.write_bytes(bytes(changed))
        assert code(read(full).verified_leaves) in {"tile", "proof"}
    file.write_bytes(content[:-1])
    assert code(read(full).verified_leaves) == "tile"
    file.unlink()
    assert code(read(full).verified_leaves) == "tile"
    file.write_bytes(content)
    assert read(full).verified_leaves()


def test_files_that_agree_with_each_other_must_agree_with_the_checkpoint(full, tmp_path):
    """A whole other ledger of the same size, every tile right, under our cosigned checkpoint."""
    other = World(tmp_path / "other", witnesses=0, quorum=0)
    other.beat(*(f"m{i}" for i in range(300)))
    other.beat("eve")
    assert other.store.head().size == read(full).size
    shutil.copytree(other.public.root / "tile", full.public.root / "tile", dirs_exist_ok=True)

    assert code(read(full).verified_leaves) == "proof"
    other.close()


def test_a_bundle_that_is_not_its_tiles_is_not_read(full):
    """Leaves are taken only from bundles that the signed tree was made of."""
    file = full.public.root / tile_path("entries", 2, 8)
    entries = [person(f"forged {i}") for i in range(8)]
    file.write_bytes(write_bundle(entries))

    assert code(list, read(full).leaves(512, 520)) == "tile"


def test_partial_files_may_go_once_the_full_one_is_there(full):
    """A checkpoint that is a little older is still served."""
    older = read(full)
    full.beat(*(f"m{i}" for i in range(300)))
    for folder in (full.public.root / "tile").rglob("002.p"):
        shutil.rmtree(folder)

    assert person("ann") in older.verified_leaves()


def test_who_reads_asks_for_its_own_witnesses(full, tmp_path):
    """An unpublished ledger, a foreign log, too few cosignatures: nothing is read."""
    trust = full.keys.trust_file()
    empty = DirectorySource(tmp_path / "empty")
    foreign = World(tmp_path / "foreign")
    foreign.beat()
    full.down = {"w1"}
    full.beat()
    full.keys.set_trust(witness_quorum=3)

    assert code(open_ledger, empty, trust) == "ledger-unpublished"
    assert code(open_ledger, DirectorySource(foreign.public.root), trust) == "note-signature"
    assert code(read, full) == "witness-quorum"
    foreign.close()


def resigned(world, key, at):
    """The newest checkpoint as if this key of the ledger had signed it, cosigned at that time."""
    note = sign_checkpoint(world.published().checkpoint, [key])
    lines = [cosign(note, name, server.key, at) for name, server in world.servers.items()]
    (world.public.root / "checkpoint").write_bytes(note + b"".join(lines))


def test_a_key_that_was_revoked_or_has_run_out_signs_no_new_checkpoint(full):
    """What it signed while it was in force stays good; later, by the witnesses' clocks, nothing of it counts."""
    old, now = full.keys.current("ledger"), full.clock.now()
    full.keys.rotate("ledger", overlap_s=60)
    resigned(full, old, now)
    assert read(full).size == 520
    resigned(full, old, now + 61)
    assert code(read, full) == "trust-key-expired"

    full.keys.set_trust(revoked={old.kid: now + 10})
    resigned(full, old, now + 9)
    assert read(full).size == 520
    resigned(full, old, now + 10)
    assert code(read, full) == "trust-key-revoked"
    full.keys.set_trust(witness_quorum=0)
    resigned(full, old, now)
    assert code(read, full) == "trust-key-revoked"


def test_a_proof_for_others_needs_the_trust_file_alone(full):
    """The leaf, its index, the path and the checkpoint in one text; read back, it leads to the root."""
    ledger = read(full)
    index = ledger.verified_leaves().index(person("ann"))
    text = write_proof(
        Proof(person("ann"), index, tuple(inclusion_path(index, ledger.size, ledger.hashes)), ledger.note)
    )
    proof = read_proof(text)

    root = ledger.opened.checkpoint.root
    verify_inclusion(proof.index, ledger.size, leaf_hash(proof.leaf), proof.path, root)
    assert text.startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    for changed in (
        b"", text.replace(b"@v1", b"@v2"), text.replace(b"index ", b"index 0"), text.replace(b"extra ", b"leaf "),
        text.replace(b"\n\n", b"\n", 1), text.replace(b"\nindex", b"=\nindex"), text[:40] + b"\xff" + text[40:],
        text.replace(b"\n\n", b"\n" + b"AAAA\n\n", 1),
    ):  # fmt: skip
        assert code(read_proof, changed) == "proof-malformed"


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 8))
def test_the_beginning_of_a_bundle_is_a_bundle(entries, width):
    """Cut to fewer entries it is the bundle of those; to more it is refused."""
    if width <= len(entries):
        assert cut_bundle(write_bundle(entries), width) == write_bundle(entries[:width])
    else:
        with pytest.raises(Untrusted):
            cut_bundle(write_bundle(entries), width)


def test_a_watcher_sees_that_a_ledger_only_grew(full):
    """From look to look; what it writes down it reads back."""
    first, findings = look(read(full), Watched())
    full.beat("bob")
    second, more = look(read(full), read_watched(first.to_bytes()))

    assert (findings, more) == ([], [])
    assert second.seen.size > first.seen.size
    for data in (b"", b"{}", b'{"seen":7,"spoke":{},"places":[],"lists":0}'):
        assert code(read_watched, data) in {"watch-malformed", "json-malformed"}


def test_a_watcher_sees_a_fork_and_a_rewind(full, tmp_path):
    """Another story of the same length, of a greater one, and an older one of the same log."""
    watched, _ = look(read(full), Watched())
    longer = World(tmp_path / "longer", witnesses=0, quorum=0)
    longer.keys = full.keys
    full.keys.set_trust(witness_quorum=0)
    longer.sequencer = longer.another_sequencer()
    for beat in range(3):
        longer.beat(*(f"x{beat}-{i}" for i in range(400)))
    forked = read(longer)
    same = Seen(forked.size, b"\1" * 32)
    more = Seen(forked.size + 1, b"\1" * 32)

    assert [finding.code for finding in look(forked, watched)[1]] == ["ledger-forked"]
    assert code(require_grown, forked, same) == "ledger-forked"
    assert code(require_grown, forked, more) == "ledger-rewound"
    assert look(forked, watched)[0] == watched
    longer.close()


def attested(n, life=1, by="edge/tokyo-1", tag=b""):
    return fact_leaf("attestation", commit(b"%d %d" % (life, n) + tag, SALT), by=by, life=life, n=n)


def put_list(world, n, *places):
    body = attesters_body(AttesterList(n, 1_800_000_000 + n, places))
    world.store.put([NewLeaf(fact_leaf("attesters", public_commitment(body), n=n), body)], world.clock.now())
    target = world.public.root / "attesters" / str(n)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(body)
    return target


def test_a_watcher_sees_who_speaks_twice_and_who_left_the_list(world):
    """Two attestations of one number; a list without a place; a list that is not the one committed to."""
    world.store.put([NewLeaf(attested(1)), NewLeaf(attested(2))], 0)
    put_list(world, 1, "edge/osaka-1", "edge/tokyo-1")
    world.sequencer.beat()
    watched, findings = look(read(world), Watched())
    assert (findings, watched.places, watched.spoke) == ([], ("edge/osaka-1", "edge/tokyo-1"), {"edge/tokyo-1/1": 2})

    world.store.put([NewLeaf(attested(2, tag=b"again")), NewLeaf(attested(1, life=2))], 0)
    put_list(world, 2, "edge/tokyo-1")
    put_list(world, 3, "edge/tokyo-1").write_bytes(b"{}")
    world.sequencer.beat()
    codes = [finding.code for finding in look(read(world), watched)[1]]
    assert codes == ["attester-twice", "attesters-shrank", "attesters-missing"]


def test_files_come_from_a_directory_or_over_http(full):
    """The same reader for an archive and for a public listener; what is absent is told from what cannot be read."""
    with source_of(str(full.public.root)) as source:
        assert isinstance(source, DirectorySource)
        assert source.fetch("tile/9/000") is None
        assert code(source.fetch, "tile") == "ledger-unreachable"
    with source_of("http://127.0.0.1:1/ledger") as source:
        assert isinstance(source, HttpSource)
        assert code(source.fetch, "checkpoint") == "ledger-unreachable"
