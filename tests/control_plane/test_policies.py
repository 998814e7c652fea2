"""Publishing: one transaction, never backwards, never unsigned; what is in force decides."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from consent_core.errors import ConsentEdgeError
from consent_core.formats.receipt import open_receipt
from consent_core.policy.publish import PolicyRelease, publish
from consent_core.policy.sources import read_sources
from consent_core.resources import ROOT
from consent_core.trust.keys import KeyStore
from control_plane.app import create_app
from control_plane.policies.publishing import publish_sources
from control_plane.store.database import Database
from control_plane.store.schema import log_head
from tests.control_plane.conftest import Browser, poll, publish_like


@pytest.fixture(scope="module")
def sources():
    return read_sources(ROOT / "policies", ROOT / "legal")


def publish_next(plane, sources, approver="lawyer"):
    return publish_sources(plane.policies, plane.database, plane.keys, sources, approver, plane.settings.clock.now())


def test_the_first_start_publishes_and_the_second_does_not(settings):
    """One bundle, one entry, however often it is started."""
    planes = [create_app(settings) for _ in range(2)]

    assert [plane.policies.bundle().revision for plane in planes] == [1, 1]
    assert [(entry.kind, entry.subject) for entry in poll(planes[1]).entries] == [
        ("policy", planes[0].policies.bundle().hash)
    ]
    for plane in planes:
        plane.close()


def test_a_published_bundle_is_in_force_with_its_entry(plane, sources):
    """Later revision, the hashes before it, the approval; new tokens carry the new hash."""
    visitor = Browser(plane)
    visitor.grant("contextual")
    before = plane.policies.bundle().hash
    stored, published = publish_next(plane, sources)
    entry = poll(plane, 1).entries[0]

    assert (stored.revision, published.bundle.previous) == (2, (before,))
    assert published.bundle.approval.approver == "lawyer"
    assert (entry.kind, entry.subject, entry.effect) == ("policy", stored.hash, "activate")
    assert plane.policies.bundle().hash == stored.hash != before
    again = visitor.grant("contextual")
    assert open_receipt(again.receipt, plane.keys.trust_file(), revoked=frozenset()).policy_hash == stored.hash


def test_publishing_the_bundle_in_force_again_changes_nothing(plane, sources):
    """A command whose answer was lost may be sent again."""
    stored, _ = publish_next(plane, sources)

    assert plane.policies.publish(stored.body) == stored
    assert poll(plane).head == 2


def test_a_policy_never_goes_back(plane, sources, refused):
    """An older bundle, however well signed, stays in the past."""
    first = plane.policies.bundle()
    publish_next(plane, sources)

    refused("policy-revision", 409, plane.policies.publish, first.body)
    assert poll(plane).head == 2


@pytest.mark.parametrize("revision", [1, 2])
def test_two_policies_never_share_a_revision(plane, sources, refused, revision):
    """A well-signed bundle that nobody has seen, numbered as one that was or is in force."""
    publish_next(plane, sources)
    release = PolicyRelease(revision, "late", plane.settings.clock.now() + 60)
    late = publish(sources, plane.keys.current("bundle"), plane.keys.trust_file(), release).data

    refused("policy-revision", 409, plane.policies.publish, late)
    assert poll(plane).head == 2


def test_every_flipped_byte_of_a_bundle_is_refused(plane, sources):
    """Nothing of it is stored; the last good one stays in force.

    Some bits of a gzip file say nothing: its time and system (RFC 1952 section 2.3.1), a code that no byte uses. A
    bundle that differs in these alone is the one in force, published again without effect.
    """
    body, refused = plane.policies.bundle().body, 0
    positions = range(0, len(body), max(1, len(body) // 200))
    for position in positions:
        try:
            again = plane.policies.publish(body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :])
            assert again.body == body
        except ConsentEdgeError:
            refused += 1

    assert refused >= len(positions) - 4
    assert plane.policies.bundle().body == body
    assert poll(plane).head == 1


def test_a_bundle_of_a_stranger_is_refused(plane, sources, tmp_path):
    """Signed, but by nobody in the trust file."""
    stranger = KeyStore.open(tmp_path / "stranger", create=True, clock=plane.settings.clock)
    release = PolicyRelease(2, "stranger", plane.settings.clock.now())
    data = publish(sources, stranger.current("bundle"), stranger.trust_file(), release).data

    with pytest.raises(ConsentEdgeError) as caught:
        plane.policies.publish(data)
    assert caught.value.status == 502
    assert plane.policies.bundle().revision == 1


def test_another_process_follows_a_publication(settings, sources):
    """Two control planes over one store: the one that did not publish decides by the new policy too."""
    one, other = create_app(settings), create_app(settings)
    other.policies.bundle()
    stored, _ = publish_next(one, sources)

    assert other.policies.bundle().hash == stored.hash
    for plane in (one, other):
        plane.close()


def test_the_same_policy_moves_to_another_store(settings, tmp_path):
    """From SQLite to PostgreSQL, or back: the signed bytes are what matters."""
    moved = replace(settings, database_url=f"sqlite:///{tmp_path / 'moved.db'}")
    publish_like(settings, moved)
    plane = create_app(moved)

    assert plane.policies.bundle().revision == 1
    plane.close()


def test_a_store_of_another_version_is_refused(plane, refused):
    """A newer program's store is not guessed at."""
    with plane.database.write() as connection:
        connection.execute(update(log_head).values(version=99))

    refused("store-unavailable", 503, Database.open, plane.settings.store_url)
