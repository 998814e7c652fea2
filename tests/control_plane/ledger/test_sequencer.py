"""The ledger only grows, each leaf gets one place, and nothing is published that too few witnesses have seen."""

import base64
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.leaf import commit, fact_leaf, read_leaf
from consent_core.formats.note import Checkpoint
from consent_core.formats.tile import tile_path
from consent_core.formats.tlog import EMPTY_ROOT
from control_plane.ledger.store import NewLeaf
from control_plane.ledger.tiles import TileDirectory
from control_plane.ledger.writing import writing
from tests.control_plane.ledger.worlds import SALT, World, person


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def refused(code, call, *arguments):
    with pytest.raises((Untrusted, Unavailable)) as caught:
        call(*arguments)
    assert caught.value.code == code


class Broken:
    """A witness whose answers were damaged on the way: right name, right key, a signature that does not verify."""

    def __init__(self, server):
        self._server = server
        self.key, self.store = server.key, server.store

    def add_checkpoint(self, body):
        response = self._server.add_checkpoint(body)
        if response.status_code == 200:
            start, _, text = bytes(response.body).strip().rpartition(b" ")
            line = bytearray(base64.b64decode(text))
            line[-1] ^= 1
            response.body = start + b" " + base64.b64encode(line) + b"\n"
        return response


def test_a_leaf_is_published_with_the_next_beat_cosigned_by_the_quorum(world):
    """The whole way: put, place, tiles, witnesses, checkpoint; read back as an outsider does."""
    world.beat("receipt of ann", "no of bob")
    opened = world.published()

    assert {person("receipt of ann"), person("no of bob")} < set(world.entries())
    assert (opened.checkpoint.size, len(opened.cosignatures), opened.witness_time) == (8, 3, world.clock.now())
    assert world.sequencer.progress.inclusion_s == 0


def test_empty_beats_are_as_large_as_full_ones(world):
    """Nobody sees in the ledger that nothing happened."""
    sizes = []
    for names in ([], ["one"], [f"n{i}" for i in range(8)], []):
        world.beat(*names)
        sizes.append(world.published().checkpoint.size)

    assert sizes == [8, 16, 24, 32]
    assert len({len(leaf) for leaf in world.entries()}) == 1


def test_facts_come_first_and_in_order(world):
    """Facts say who they are by, so their order is theirs; people are mixed with padding."""
    salted = commit(b"fact", SALT)
    facts = [
        fact_leaf("attesters", commit(b"list", SALT), n=1),
        fact_leaf("attestation", salted, by="edge/tokyo-1", life=1, n=2),
        fact_leaf("policy", commit(b"policy", SALT)),
    ]
    world.put("ann")
    world.store.put([NewLeaf(leaf, b"body", SALT) for leaf in facts], world.clock.now())
    world.sequencer.beat()

    kinds = [read_leaf(leaf).kind for leaf in world.entries()]
    assert kinds == ["attesters", "attestation", "policy", *["person"] * 8]
    assert world.store.facts.body("attesters", 1) == b"body"


def test_a_put_that_is_repeated_counts_once_and_another_leaf_of_its_key_is_refused(world):
    """Before its place is given and after."""
    leaf = world.put("ann")[0]
    world.put("ann")
    world.sequencer.beat()
    world.put("ann")
    world.sequencer.beat()
    other = fact_leaf("policy", read_leaf(leaf).commitment)

    assert world.entries().count(leaf) == 1
    refused("ledger-conflict", world.store.put, [NewLeaf(other)], 0)
    refused("ledger-conflict", world.store.put, [NewLeaf(person("new")), NewLeaf(other)], 0)
    assert world.store.count_waiting() == 0


def test_nothing_is_published_without_the_quorum(world):
    """The checkpoint stays at the last cosigned one; what was put meanwhile comes with the next."""
    world.beat("ann")
    before = world.published().checkpoint
    world.down = {"w1", "w2"}
    world.clock.advance(30)
    world.beat("bob")

    assert world.published().checkpoint == before
    assert world.sequencer.progress.unwitnessed_since == world.clock.now()
    assert [answer.problem for answer in world.sequencer.progress.answers] == [
        "witness-unreachable",
        "witness-unreachable",
        None,
    ]
    world.down = {"w3"}
    world.beat()
    assert person("bob") in world.entries()
    assert world.sequencer.progress.unwitnessed_since is None
    world.require_grown_from(before)


def test_nothing_is_appended_before_enough_witnesses_said_how_far_they_are(tmp_path):
    """n - q + 1 of n: fewer could all be those that a restored ledger has left behind."""
    world = World(tmp_path, down={"w1", "w2"})
    world.beat("ann")
    assert world.store.head().size == 0
    world.down = {"w1"}
    world.beat()

    assert person("ann") in world.entries()
    world.close()


def test_without_witnesses_the_log_publishes_alone(tmp_path):
    """Quorum 0 is the operator's word, and said so by who reads; it works."""
    world = World(tmp_path, witnesses=0, quorum=0)
    world.beat("ann")

    assert (world.published().witness_time, world.published().checkpoint.size) == (None, 8)
    world.close()


def test_a_witness_that_signs_with_a_foreign_key_counts_for_nothing(world):
    """What a witness answers is checked before it is counted."""
    for name in ("w1", "w2"):
        world.servers[name] = World(world.data / "elsewhere", witnesses=2).servers[name]
    world.sequencer.beat()
    world.beat("ann")

    assert world.public.checkpoint() is None
    assert [answer.problem for answer in world.sequencer.progress.answers] == ["witness-refused"] * 2 + [None]


def test_a_witness_that_answers_with_a_broken_line_stops_nobody(world):
    """Its line is left out: in the note it would refuse the whole checkpoint, whoever else signed."""
    world.beat("ann")
    honest = world.servers["w1"]
    world.servers["w1"] = Broken(honest)
    world.beat("bob")

    opened = world.published()
    assert person("bob") in world.entries()
    assert [cosignature.name for cosignature in opened.cosignatures] == ["w2", "w3"]
    assert world.sequencer.progress.answers[0].problem == "note-signature"


def test_an_older_checkpoint_never_replaces_a_newer_one(world):
    """Two publishers over one directory: the slower one changes nothing."""
    world.beat("ann")
    older = world.public.checkpoint()
    world.beat("bob")
    newer = world.public.checkpoint()

    assert not world.public.publish(older)
    assert not world.public.publish(newer)
    assert world.public.checkpoint() == newer


def test_a_following_ledger_key_signs_beside_the_old_one(world):
    """Readers who know either of both can read; the witnesses follow the trust file."""
    world.beat("ann")
    world.keys.rotate("ledger", overlap_s=60)
    world.beat("bob")
    assert len(world.published().kids) == 2
    world.clock.advance(61)
    world.beat("cleo")

    assert world.published().kids == (world.keys.current("ledger").kid,)


@pytest.mark.parametrize("lost", [(0, 0, 256), (0, 2, 8), (1, 0, 2), ("entries", 1, 256), ("entries", 2, 8)])
def test_a_lost_tile_is_made_again_at_start(world, lost):
    """A rename that a power cut took back, of a full tile, a partial one, an upper one, or a bundle."""
    world.beat(*(f"n{i}" for i in range(300)))
    world.beat()
    path = world.public.root / tile_path(*lost)
    content = path.read_bytes()
    path.unlink()
    world.another_sequencer().recover()

    assert path.read_bytes() == content
    assert len(world.entries()) == 520


def test_a_damaged_edge_is_made_again_and_damaged_rows_are_not_signed(world):
    """Tiles follow the rows; rows that lost the signed root stop the sequencer."""
    world.beat("ann")
    tile = world.public.root / tile_path(0, 0, 8)
    tile.write_bytes(b"\0" * 256)
    restarted = world.another_sequencer()
    restarted.recover()
    assert world.entries()

    with writing(world.store._database) as connection:
        connection.exec_driver_sql("UPDATE entries SET leaf = ? WHERE idx = 3", (person("forged"),))
    tile.unlink()
    refused("ledger-damaged", world.another_sequencer().recover)


def test_two_sequencers_make_one_ledger(world):
    """Who has not seen the other's beat is refused, looks again, and goes on."""
    other = world.another_sequencer()
    world.beat("ann")
    other.beat()
    world.put("bob")
    stale = world.store.head()
    other.beat()
    refused("ledger-moved", world.sequencer._stage, stale)
    world.beat("cleo")

    entries = world.entries()
    assert len(entries) == len(set(entries)) == world.published().checkpoint.size
    assert {person("ann"), person("bob"), person("cleo")} < set(entries)


def set_back(data, backup):
    """Put a copy of the database in its place, as an operator restores a backup."""
    shutil.copy(backup, data / "ledger.db")
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (data / name).unlink(missing_ok=True)


def test_a_restored_ledger_appends_nothing(world, tmp_path):
    """A backup of the database behind what the witnesses, or our own files, have: seen before anything is taken."""
    world.beat("ann")
    world.store.close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "backup.db")
    shutil.copytree(tmp_path / "public", tmp_path / "backup")
    later = World(tmp_path)
    later.sequencer.recover()
    later.beat("bob")
    newest = later.published().checkpoint
    later.close()

    set_back(tmp_path, tmp_path / "backup.db")
    both = World(tmp_path)
    both.public = TileDirectory(tmp_path / "backup")
    both.sequencer = both.another_sequencer()
    both.sequencer.recover()
    both.beat("a different story")
    assert (both.sequencer.progress.closed, both.store.head().size) == ("ledger-rewound", 8)
    assert [finding.code for finding in both.store.findings.all()] == ["ledger-rewound"]
    both.close()

    alone = World(tmp_path, down={"w1", "w2", "w3"})
    alone.sequencer.recover()
    assert (alone.sequencer.progress.closed, alone.published().checkpoint) == ("ledger-rewound", newest)
    alone.close()


def test_a_fork_closes_the_ledger(world):
    """A second story of one size: refused before it begins, and found out even if that was skipped."""
    world.beat("ann")
    other = World(world.data / "other", witnesses=0, quorum=0)
    other.keys, other.servers = world.keys, world.servers
    other.sequencer = other.another_sequencer()
    other.beat("eve")
    assert (other.sequencer.progress.closed, other.store.head().size) == ("ledger-rewound", 0)

    other.sequencer = other.another_sequencer()
    other.sequencer._cleared = True
    other.beat()
    assert (other.sequencer.progress.closed, other.public.checkpoint()) == ("ledger-forked", None)
    assert [item.code for item in world.servers["w1"].store.evidence(world.published().checkpoint.origin)] == [
        "ledger-forked"
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["put", "repeat", "beat", "restart", "other", "down", "up", "lose"]), max_size=14))
def test_any_interleaving_appends_only_and_exactly_once(tmp_path_factory, steps):
    """Puts, repeats, beats, restarts, a second sequencer, witnesses that go and come, lost tiles."""
    world = World(tmp_path_factory.mktemp("w"))
    sequencers = [world.sequencer, world.another_sequencer()]
    names, seen = [], Checkpoint("", 0, EMPTY_ROOT)
    for step in (*steps, "up", "beat", "beat"):
        if step == "put":
            names.append(f"n{len(names)}")
            world.put(names[-1])
        elif step == "repeat":
            world.put(*names)
        elif step in ("beat", "other"):
            sequencers[step == "other"].beat()
        elif step == "restart":
            sequencers[0] = world.another_sequencer()
            sequencers[0].recover()
        elif step in ("down", "up"):
            world.down = {"w1", "w3"} if step == "down" else set()
        elif step == "lose":
            for path in (world.public.root / "tile").rglob("*.p/*"):
                path.unlink()
            for sequencer in sequencers:
                sequencer.recover()
        if world.public.checkpoint() is not None:
            world.require_grown_from(seen)
            seen = world.published().checkpoint

    entries = world.entries()
    assert all(entries.count(person(name)) == 1 for name in names)
    assert len(entries) % 8 == 0
    world.close()
