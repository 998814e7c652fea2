"""An archive in a bucket: what was put stays, other bytes are a conflict, a delete marker hides nothing for good."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from consent_core.errors import ConsentEdgeError
from consent_core.ledger.s3_source import S3Source, bucket_of
from consent_core.ledger.sources import source_of
from control_plane.ledger.archive import archive_published, archived_size, open_archive
from control_plane.ledger.ledger import LedgerSettings
from control_plane.ledger.restoring import restore
from control_plane.ledger.s3_archive import S3Archive
from tests.control_plane.ledger.worlds import World, person

PLACE = "s3://ledger/shop/one"


@pytest.fixture(scope="module")
def endpoint():
    """moto's S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """An empty versioned bucket, found as boto3 finds it: from the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="ledger")
    client.put_bucket_versioning(Bucket="ledger", VersioningConfiguration={"Status": "Enabled"})
    yield client
    for version in client.list_object_versions(Bucket="ledger").get("Versions", []):
        client.delete_object(Bucket="ledger", Key=version["Key"], VersionId=version["VersionId"])
    for marker in client.list_object_versions(Bucket="ledger").get("DeleteMarkers", []):
        client.delete_object(Bucket="ledger", Key=marker["Key"], VersionId=marker["VersionId"])
    client.delete_bucket(Bucket="ledger")
    client.close()


def code(call, *arguments):
    with pytest.raises(ConsentEdgeError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_bucket_only_adds(bucket):
    """Put once; the same bytes again are fine; the checkpoint alone is replaced, and its versions stay."""
    archive = open_archive(PLACE)
    assert isinstance(archive, S3Archive)
    assert archived_size(archive) == 0
    archive.put_if_absent("tile/0/000", b"a")
    archive.put_if_absent("tile/0/000", b"a")
    assert code(archive.put_if_absent, "tile/0/000", b"b") == "archive-conflict"
    archive.put_checkpoint(b"one")
    archive.put_checkpoint(b"two")

    assert archive.checkpoint() == b"two"
    versions = bucket.list_object_versions(Bucket="ledger", Prefix="shop/one/checkpoint")["Versions"]
    assert len(versions) == 2


def test_a_ledger_is_restored_from_a_bucket_even_behind_delete_markers(bucket, tmp_path):
    """Whoever may delete objects of a versioned bucket hides them; restoring reads what is behind."""
    world = World(tmp_path)
    world.beat(*(f"n{i}" for i in range(300)))
    archive_published(world.public, open_archive(PLACE), world.store)
    world.beat("ann")
    archive_published(world.public, open_archive(PLACE), world.store)
    newest = world.published().checkpoint
    for item in bucket.list_objects_v2(Bucket="ledger")["Contents"]:
        bucket.delete_object(Bucket="ledger", Key=item["Key"])
    assert "Contents" not in bucket.list_objects_v2(Bucket="ledger")

    with source_of(PLACE) as source:
        restored = restore(LedgerSettings(tmp_path / "again"), source, world.keys.trust_file(), 0)
        assert source.fetch("tile/7/000") is None
    again = World(tmp_path / "again", witnesses=0, quorum=0)
    again.keys, again.servers = world.keys, world.servers
    again.sequencer = again.another_sequencer()
    again.sequencer.recover()
    again.beat("bob")
    assert (restored.size, restored.again) == (newest.size, 0)
    assert {person("ann"), person("bob")} < set(again.entries())
    for each in (world, again):
        each.store.close()


def test_a_bucket_that_does_not_answer_is_tried_again(bucket, monkeypatch):
    """Its own code; nothing is believed to be archived."""
    away = S3Archive(bucket, "no-such-bucket", "")
    assert code(away.put_if_absent, "tile/0/000", b"a") == "archive-unavailable"
    assert code(away.put_checkpoint, b"a") == "archive-unavailable"
    assert code(away.checkpoint) == "archive-unavailable"
    assert code(S3Source(bucket, "no-such-bucket", "").fetch, "checkpoint") == "ledger-unreachable"
    assert (bucket_of("s3://b"), bucket_of("s3://b/p/")) == (("b", ""), ("b", "p/"))
