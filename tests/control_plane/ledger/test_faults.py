"""Each writer of a beat fails once, with its work done or not done: the next beat goes on, and so does a restart."""

import pytest

from consent_core.errors import Unavailable
from control_plane.ledger.archive import DirectoryArchive, archive_published
from control_plane.ledger.store import LedgerStore
from control_plane.ledger.tiles import TileDirectory
from tests.control_plane.ledger.worlds import World, person


class Fault:
    """Fails the next call of one operation: `kept` after it was done, else before."""

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self.armed = False

    def __call__(self, operation, *arguments, **named):
        if not self.armed:
            return operation(*arguments, **named)
        self.armed = False
        if self.kept:
            operation(*arguments, **named)
        raise Unavailable("store-unavailable", "an injected fault")


class FaultyStore(LedgerStore):
    """The real store; one of its writes may fail."""

    def __init__(self, database, where, fault):
        super().__init__(database)
        self._where, self._fault = where, fault

    def put(self, *arguments, **named):
        return self._through("put", super().put, *arguments, **named)

    def place(self, *arguments, **named):
        return self._through("commit", super().place, *arguments, **named)

    def _through(self, where, operation, *arguments, **named):
        return self._fault(operation, *arguments, **named) if where == self._where else operation(*arguments, **named)


class FaultyTiles(TileDirectory):
    """The real files; one of the writes may fail."""

    def __init__(self, root, where, fault):
        super().__init__(root)
        self._where, self._fault = where, fault

    def write(self, files):
        if self._where == "one tile" and self._fault.armed:
            self._fault.armed = False
            super().write(dict(list(files.items())[:1]) if self._fault.kept else {})
            raise Unavailable("ledger-io", "an injected fault")
        return self._fault(super().write, files) if self._where == "tiles" else super().write(files)

    def publish(self, note):
        return self._fault(super().publish, note) if self._where == "publish" else super().publish(note)


class FaultyArchive(DirectoryArchive):
    """The real archive; one of the writes may fail."""

    def __init__(self, root, where, fault):
        super().__init__(root)
        self._where, self._fault = where, fault

    def put_if_absent(self, path, data):
        put = super().put_if_absent
        return self._fault(put, path, data) if self._where == "archive" else put(path, data)

    def put_checkpoint(self, note):
        put = super().put_checkpoint
        return self._fault(put, note) if self._where == "archive checkpoint" else put(note)


class FaultyWorld(World):
    """A world with one fault in one place."""

    def arrange(self, where: str, kept: bool) -> "FaultyWorld":
        self.fault = Fault(kept)
        self.store = FaultyStore(self.store._database, where, self.fault)
        self.public = FaultyTiles(self.public.root, where, self.fault)
        self.archive = FaultyArchive(self.data / "archive", where, self.fault)
        self.where = where
        self.sequencer = self.another_sequencer()
        self.sequencer.recover()
        return self

    def _post(self, url, body):
        if self.where == "witness" and "w1" in url:
            return self.fault(super()._post, url, body)
        return super()._post(url, body)

    def round(self, *names: str) -> None:
        self.put(*names)
        self.sequencer.beat()
        archive_published(self.public, self.archive, self.store)


WHERE = ("put", "commit", "tiles", "one tile", "witness", "publish", "archive", "archive checkpoint")


@pytest.mark.parametrize("restart", [False, True], ids=["goes-on", "restarts"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("where", WHERE)
def test_a_failing_writer_loses_and_doubles_nothing(tmp_path, where, kept, restart):
    """The writer repeats what was not acknowledged; each leaf is there once; the archive has it too."""
    world = FaultyWorld(tmp_path).arrange(where, kept)
    world.round(*(f"first {i}" for i in range(200)))
    before = world.published().checkpoint
    world.fault.armed = True
    failed = False
    try:
        world.round("ann", "bob")
    except Unavailable:
        failed = True
    assert failed == (where != "witness")
    assert not world.fault.armed
    world.require_grown_from(before)

    if restart:
        world.sequencer = world.another_sequencer()
        world.sequencer.recover()
    world.round("ann", "bob")
    entries = world.entries()
    assert len(entries) == len(set(entries))
    assert {person("ann"), person("bob")} < set(entries)
    assert world.archive.checkpoint() == world.public.checkpoint()
    world.require_grown_from(before)
    world.close()
