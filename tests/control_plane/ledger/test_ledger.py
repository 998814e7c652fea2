"""What a person says at a real control plane is in the published ledger with the next beat, as a commitment."""

from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, insert, select

from consent_core.evidence.bodies import AttesterList, attesters_body, read_policy
from consent_core.formats.canonical import read_json_object
from consent_core.formats.leaf import commit, fact_leaf, public_commitment, read_leaf, verify_commitment
from consent_core.formats.tile import read_bundle, tile_width
from consent_core.trust.checkpoints import open_trusted
from consent_core.trust.trust_file import Witness
from control_plane.app import create_app
from control_plane.ledger.copying import Copying
from control_plane.ledger.entries import Entries
from control_plane.ledger.ledger import Ledger
from control_plane.ledger.store import NewLeaf
from control_plane.store.schema import ledger_outbox
from tests.control_plane.conftest import Browser


@dataclass
class KeptProofs:
    """A proof store in memory: what was kept, by leaf key."""

    kept: dict = field(default_factory=dict)

    def expect(self, subjects):
        """Keys are no part of this store."""

    def keep(self, connection, openings):
        self.kept.update({bytes.fromhex(o.leaf_key): (o.subject, o.body, o.salt) for o in openings})


@pytest.fixture
def proofs(plane):
    """The control plane's leaves, with their bodies kept here."""
    store = KeptProofs()
    plane.log._leaves = Entries(plane.ledger.seen, store)
    return store


def outbox(plane):
    with plane.database.read() as connection:
        return list(connection.execute(select(ledger_outbox).order_by(ledger_outbox.c.id)))


def published(plane):
    note = plane.ledger.public.checkpoint()
    size = open_trusted(note, plane.keys.trust_file()).checkpoint.size
    return [
        leaf
        for n in range((size + 255) // 256)
        for leaf in read_bundle(plane.ledger.public.bundle(n, tile_width(0, n, size)), tile_width(0, n, size))
    ]


def test_a_yes_and_a_no_are_in_the_ledger_with_the_next_beat(plane, browser, proofs):
    """One leaf for the yes, two for the no (its receipt, its entry); whoever has body and salt can open them."""
    visitor = browser()
    visitor.grant("contextual", "behavioral")
    visitor.withdraw("behavioral")
    plane.ledger.tick()

    found = {read_leaf(leaf).commitment for leaf in published(plane)} & proofs.kept.keys()
    bodies = [proofs.kept[commitment] for commitment in found]
    kinds = [read_json_object(body, 65_536)["kind"] for _, body, _ in bodies]
    assert sorted(kinds) == ["receipt", "receipt", "revocation"]
    assert len({subject for subject, _, _ in bodies}) == 1
    for commitment in found:
        _, body, salt = proofs.kept[commitment]
        verify_commitment(commitment, body, salt)
    assert all(b'"prev"' not in body for _, body, _ in bodies)


def test_the_policy_in_force_is_a_fact_of_the_ledger(plane):
    """Its leaf comes first; its body, which names files and approval, stays with the ledger."""
    plane.ledger.tick()
    kinds = [read_leaf(leaf).kind for leaf in published(plane)]

    assert kinds[0] == "policy"
    body = read_json_object(plane.ledger.store.facts.body("policy", None) or b"{}", 1_048_576)
    assert read_policy(body).hash == plane.policies.bundle().hash


def test_a_body_names_the_checkpoint_it_was_made_after(plane, browser, proofs):
    """Before the first beat the empty tree; then the last cosigned one."""
    browser().grant("contextual")
    plane.ledger.tick()
    browser().grant("contextual")
    first, second = (read_json_object(body, 65_536)["seen"] for _, body, _ in proofs.kept.values())

    assert first.startswith("0:")
    assert second == plane.ledger.seen().text != first


def test_a_transaction_that_fails_leaves_no_leaf(plane, browser):
    """The record and its leaf, or neither."""
    before = len(outbox(plane))

    def change_and_fail():
        with plane.log.writing() as writing:
            writing.append("session", "ab" * 32, ("behavioral",), 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert len(outbox(plane)) == before


def test_rows_go_once_their_leaf_is_published_and_the_newest_stays(plane, browser):
    """The outbox does not grow, and its highest number is never lost."""
    for _ in range(3):
        browser().grant("contextual")
    newest = outbox(plane)[-1].id
    plane.ledger.tick()

    assert [row.id for row in outbox(plane)] == [newest]
    assert plane.ledger.store.head().outbox == newest


def test_rows_stay_while_too_few_witnesses_have_seen_their_leaf(settings):
    """Committed is not published: until a quorum has cosigned it, the consent database keeps the leaf."""
    plane = create_app(settings)
    plane.ledger.tick()
    plane.keys.set_trust(witnesses=(Witness("w1", b"w" * 32),), witness_quorum=1)
    Browser(plane).grant("contextual")
    Browser(plane).grant("contextual")
    leaves = outbox(plane)[-2:]
    size = plane.ledger.store.head().size
    plane.ledger.beat()

    assert plane.ledger.store.head().size > size
    assert outbox(plane) == leaves
    plane.close()


def test_unpublished_leaves_survive_the_loss_of_the_ledger(plane, browser, settings):
    """Rows wait in the consent database until a published checkpoint holds them."""
    browser().grant("contextual")
    leaves = {row.leaf for row in outbox(plane)}
    plane.ledger._copying.new()
    assert {row.leaf for row in outbox(plane)} == leaves

    plane.close()
    for path in settings.ledger.directory.glob("ledger.db*"):
        path.unlink()
    again = create_app(settings)
    again.ledger.tick()
    assert leaves < set(published(again))
    again.close()


def test_copying_twice_counts_once(plane, browser):
    """A crash between the two databases copies again."""
    browser().grant("contextual")
    copying = Copying(plane.database, plane.ledger.store, plane.settings.clock)
    for _ in range(3):
        copying.all()
    plane.ledger.tick()

    leaves = published(plane)
    assert len(leaves) == len(set(leaves))


def test_a_consent_database_that_was_set_back_is_seen(plane, browser):
    """Its outbox is below the highest number that the ledger has seen: a finding, once, and the ledger goes on."""
    browser().grant("contextual")
    plane.ledger.tick()
    with plane.database.write() as connection:
        connection.execute(ledger_outbox.delete())
        connection.execute(insert(ledger_outbox).values(id=1, leaf=fact_leaf("key", commit(b"k", b"s" * 32))))
    plane.ledger.beat()
    plane.ledger.beat()

    assert [finding.code for finding in plane.ledger.store.findings.all()] == ["store-rewound"]
    assert "key" in {read_leaf(leaf).kind for leaf in published(plane)}


def test_beats_come_by_the_clock_or_when_many_wait(plane, browser):
    """30 s by default; at ten thousand waiting leaves at once."""
    plane.ledger.tick()
    size = plane.ledger.seen().size
    browser().grant("contextual")
    plane.ledger.tick()
    assert plane.ledger.seen().size == size
    assert plane.ledger.store.count_waiting() == 1
    plane.settings.clock.advance(30)
    plane.ledger.tick()
    assert plane.ledger.seen().size == size + 8

    leaves = [NewLeaf(fact_leaf("key", commit(b"%d" % i, b"s" * 32))) for i in range(10_000)]
    plane.ledger.store.put(leaves, 0)
    plane.ledger.tick()
    assert plane.ledger.seen().size >= size + 10_000


def test_a_full_ledger_without_witnesses_asks_no_more_often(plane):
    """Many waiting leaves make a beat come early only where it can be published."""
    plane.ledger.tick()
    plane.keys.set_trust(witnesses=(Witness("w1", b"w" * 32),), witness_quorum=1)
    plane.settings.clock.advance(30)
    plane.ledger.tick()
    since = plane.ledger.sequencer.progress.unwitnessed_since
    plane.ledger.store.put(
        [NewLeaf(fact_leaf("key", commit(b"%d" % i, b"s" * 32))) for i in range(10_000)], plane.settings.clock.now()
    )
    plane.ledger.tick()

    assert since is not None
    assert plane.ledger.store.count_waiting() == 10_000


def test_one_process_of_a_data_directory_sequences(plane, settings, browser):
    """A second control plane over the same files serves, and takes over when the first ends."""
    other = create_app(settings)
    plane.ledger.tick()
    browser().grant("contextual")
    other.ledger.tick()
    assert other.ledger.store.count_waiting() == 0
    plane.close()
    other.ledger.tick()

    assert other.ledger.seen().size == 16 + 1
    other.close()


def test_a_failing_tick_is_no_end(plane):
    """A store that does not answer is asked again next time."""
    with plane.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE ledger_outbox RENAME TO away")
    plane.ledger.tick()
    assert plane.ledger.seen().size == 0
    with plane.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO ledger_outbox")
    plane.ledger.tick()
    assert plane.ledger.seen().size > 0


def test_anybody_reads_checkpoint_tiles_and_lists(plane, public, browser):
    """Immutable but for the checkpoint, and nothing else under /ledger."""
    assert public("GET", "/ledger/checkpoint").status_code == 404
    listed = attesters_body(AttesterList(1, 1_800_000_000, ("edge/tokyo-1",)))
    plane.ledger.store.put([NewLeaf(fact_leaf("attesters", public_commitment(listed), n=1), listed)], 0)
    plane.ledger.tick()
    checkpoint = public("GET", "/ledger/checkpoint")
    width = plane.ledger.seen().size
    tile, bundle = (public("GET", f"/ledger/tile/{level}/000.p/{width}") for level in (0, "entries"))

    assert (checkpoint.content, checkpoint.headers["cache-control"]) == (plane.ledger.public.checkpoint(), "no-cache")
    assert len(tile.content) == 32 * width
    assert len(read_bundle(bundle.content, width)) == width
    assert "immutable" in tile.headers["cache-control"]
    assert public("GET", "/ledger/attesters/1").content == listed
    for path in (
        "tile/0/001", "tile/0/000.p/300", "tile/64/000", "tile/0/0000", "tile/..%2fcheckpoint", "tile/0/000.p/0",
        "attesters/2", "attesters/0", "checkpoint/", "tile/entries/..%2f..%2f..%2fledger.db",
    ):  # fmt: skip
        assert public("GET", f"/ledger/{path}").status_code in (307, 400, 404), path


def test_the_outbox_tells_no_time(plane):
    """A row is a number and a leaf: nothing in it names a person."""
    assert [column.name for column in ledger_outbox.columns] == ["id", "leaf", "body", "salt"]
    with plane.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(ledger_outbox)) >= 0
    assert isinstance(plane.ledger, Ledger)
