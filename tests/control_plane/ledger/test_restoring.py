"""A lost or set-back ledger is made again from published files, and goes on where the witnesses are."""

import fcntl
import shutil
from pathlib import Path

import pytest

from consent_core.crash import arm
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.leaf import commit, fact_leaf, public_commitment
from consent_core.formats.tile import tile_path
from consent_core.ledger.reading import open_ledger
from consent_core.ledger.sources import DirectorySource
from control_plane.ledger.archive import DirectoryArchive, archive_published, read_fact
from control_plane.ledger.ledger import LOCK, LedgerSettings
from control_plane.ledger.restoring import restore
from control_plane.ledger.store import NewLeaf
from tests.control_plane.ledger.test_ledger_crashes import died
from tests.control_plane.ledger.worlds import SALT, World, person

AT = 1_800_000_500


class Archived(World):
    """A ledger whose database lies where `restore` expects it, with an archive."""

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.data / 'ledger.db'}"
        super().__post_init__()
        self.archive = DirectoryArchive(self.data / "archive")

    def beat(self, *names: str) -> None:
        super().beat(*names)
        archive_published(self.public, self.archive, self.store)


@pytest.fixture
def world(tmp_path):
    made = Archived(tmp_path)
    yield made
    made.close()


def settings(world):
    return LedgerSettings(world.data)


def source(world):
    return DirectorySource(world.archive.root)


def code(call, *arguments):
    with pytest.raises(ConsentEdgeError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_lost_database_is_made_again_from_the_archive(world):
    """The same root, the bodies of facts too; it appends, and every witness goes on cosigning."""
    fact, listed = fact_leaf("policy", commit(b"policy", SALT)), fact_leaf("attesters", public_commitment(b"list"), n=1)
    world.store.put([NewLeaf(fact, b"policy", SALT), NewLeaf(listed, b"list")], AT)
    world.beat(*(f"n{i}" for i in range(300)))
    world.beat("ann")
    before = world.published().checkpoint
    world.close()
    (world.data / "ledger.db").unlink()
    shutil.rmtree(world.public.root)

    restored = restore(settings(world), source(world), world.keys.trust_file(), AT)
    assert (restored.size, restored.again, restored.kept) == (before.size, 0, None)
    again = Archived(world.data)
    again.sequencer.recover()
    assert again.store.facts.body("attesters", 1) == b"list"
    assert {fact.kind for fact in again.store.facts.between(0, before.size)} == {"policy", "attesters"}
    again.beat("bob")
    again.require_grown_from(before)
    assert {person("ann"), person("bob")} < set(again.entries())
    again.close()


def test_a_database_that_was_set_back_goes_on_after_restoring(world):
    """What it held that was never published is put again; the old file stays beside the new one."""
    world.beat("ann")
    world.close()
    shutil.copy(world.data / "ledger.db", world.data / "backup.db")
    later = Archived(world.data)
    later.sequencer.recover()
    later.beat("bob")
    newest = later.published().checkpoint
    later.close()
    shutil.copy(world.data / "backup.db", world.data / "ledger.db")
    back = Archived(world.data)
    back.sequencer.recover()
    back.put("cleo, said meanwhile")
    back.sequencer.beat()
    assert back.sequencer.progress.closed == "ledger-rewound"
    back.close()

    restored = restore(settings(world), source(world), world.keys.trust_file(), AT)
    assert (restored.size, restored.again) == (newest.size, 1)
    assert restored.kept == world.data / f"ledger.db.before-{AT}"
    again = Archived(world.data)
    again.sequencer.recover()
    again.beat()
    assert {person("ann"), person("bob"), person("cleo, said meanwhile")} < set(again.entries())
    again.close()


def test_a_damaged_archive_restores_nothing(world):
    """Every file is checked before the old database is touched."""
    world.beat("ann")
    size = world.published().checkpoint.size
    world.close()
    database = (world.data / "ledger.db").read_bytes()
    trust = world.keys.trust_file()
    tile = world.archive.root / tile_path("entries", 0, size)
    content = tile.read_bytes()
    tile.write_bytes(content[:-1] + b"!")
    assert code(restore, settings(world), source(world), trust, AT) == "proof"
    tile.unlink()
    assert code(restore, settings(world), source(world), trust, AT) == "tile"
    tile.write_bytes(content)
    world.keys.set_trust(revoked={}, witness_quorum=3)
    (world.archive.root / "checkpoint").write_bytes(world.public.checkpoint().rpartition("\u2014".encode())[0])
    assert code(restore, settings(world), source(world), world.keys.trust_file(), AT) == "witness-quorum"

    assert (world.data / "ledger.db").read_bytes() == database


def test_nothing_is_restored_under_a_running_sequencer(world):
    """One writer: the control plane has to be stopped first. A PostgreSQL ledger has a backup of its own."""
    world.beat()
    with (world.data / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert code(restore, settings(world), source(world), world.keys.trust_file(), AT) == "ledger-running"
    elsewhere = LedgerSettings(world.data, url="postgresql://127.0.0.1/ledger")
    assert code(restore, elsewhere, source(world), world.keys.trust_file(), AT) == "ledger-elsewhere"


def test_an_archive_only_adds(world):
    """The same bytes again are fine; other bytes are a conflict; nothing of a person's body is there."""
    world.archive.put_if_absent("tile/0/007", b"a")
    world.archive.put_if_absent("tile/0/007", b"a")
    assert code(world.archive.put_if_absent, "tile/0/007", b"b") == "archive-conflict"
    (world.data / "archive" / "file").write_bytes(b"")
    assert code(world.archive.put_if_absent, "file/below", b"b") == "archive-unavailable"
    for data in (b"", b"{}", b'{"body":7,"salt":null}', b'{"body":"=","salt":null}'):
        with pytest.raises(Untrusted):
            read_fact(data)


def test_a_tree_that_grew_while_it_was_published_is_archived_as_published(world):
    """A partial bundle is archived under its width with so many entries, even if a fuller file is there by then."""
    world.beat("ann")
    world.down = {"w1", "w2"}
    world.beat(*(f"n{i}" for i in range(300)))
    assert not (world.public.root / f"{tile_path('entries', 0)}.p").exists()
    shutil.rmtree(world.archive.root)
    archive_published(world.public, world.archive, world.store)

    assert person("ann") in open_ledger(source(world), world.keys.trust_file()).verified_leaves()


def _until(point: str, data: Path) -> None:
    world = Archived(data)
    world.sequencer.recover()
    arm(point)
    for beat in range(3):
        world.beat(*(f"{beat}-{i}" for i in range(100)))


@pytest.mark.parametrize("case", ["archive-tile:1", "archive-tile:4", "archive-checkpoint:1", "archive-checkpoint:3"])
def test_killed_while_archiving(tmp_path, case):
    """What is archived is whole at every moment; the next beat goes on."""
    assert died(_until, case, tmp_path)
    world = Archived(tmp_path)
    if world.archive.checkpoint() is not None:
        open_ledger(source(world), world.keys.trust_file()).verified_leaves()
    world.sequencer.recover()
    world.beat("after")

    assert person("after") in open_ledger(source(world), world.keys.trust_file()).verified_leaves()
    world.close()
