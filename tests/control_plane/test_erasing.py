"""A purge is done at the control plane, too, only once every part of it was counted to be empty."""

import sqlite3
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import delete, select

from consent_core.formats.revocation import subject_of
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from control_plane.audit import WRITER, open_audit, writer_of, writers_of
from control_plane.queue import RETRAIN, put
from control_plane.revocations.erasing import Erasing
from control_plane.store.schema import erasures, queue


@pytest.fixture
def audit(plane):
    """The trail, as the process that serves puts it beside the store."""
    made = open_audit(plane.settings)
    made.visitors._database.execute("PRAGMA busy_timeout=50")
    plane.revoking.erasing.trails[WRITER] = made
    yield made
    made.close()


@pytest.fixture
def subject(browser):
    """A visitor with a record, a session and a row of the queue."""
    return subject_of(browser().grant(*CATEGORIES).sub)


def purge(plane, subject):
    return plane.revoking.revoke(RevocationRequest("purge", subject, CATEGORIES)).seq


def test_every_part_is_counted_before_it_is_reported(plane, audit, subject):
    """Rows by table, the queue, the trail; the log's entries about the person have the date on which they go."""
    with plane.database.write() as connection:
        put(connection, RETRAIN, {"99": {"subject": subject, "seq": 99}}, 1)
    report = plane.revoking.erasing.report(purge(plane, subject))

    assert report["deleted"] == {
        "records": 1, "receipts": 1, "sessions": 1, "withdrawals": 1, "queue": 1, "purge_receipts": 0,
        "trail.control-plane": 0,
    }  # fmt: skip
    assert report["ends"].keys() == {"log"}
    with plane.database.read() as connection:
        assert connection.scalars(select(queue.c.body)).all() == []


def test_a_locked_visitors_file_holds_the_report_back(plane, audit, subject):
    """The purge itself is in the log; the control plane says so of itself when its trail is shredded."""
    other = sqlite3.connect(audit.visitors._path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    seq = purge(plane, subject)
    assert plane.revoking.erasing.report(seq) is None

    other.execute("ROLLBACK")
    other.close()
    plane.revoking.erasing.step()
    assert plane.revoking.erasing.report(seq) is not None


def test_the_trail_of_another_control_plane_holds_the_report_back(plane, audit, subject):
    """Two share the database: the purge is complete when the one that was away has shredded its trail, too."""
    second = replace(plane.settings, number=2, database_url="postgresql://of-both")
    other = open_audit(second)
    plane.revoking.erasing.writers = partial(writers_of, plane.settings)
    seq = purge(plane, subject)
    assert plane.revoking.erasing.report(seq) is None

    away = Erasing(plane.database, plane.settings.clock, {writer_of(2): other})
    away.step()
    assert plane.revoking.erasing.report(seq)["deleted"].keys() >= {"trail.control-plane", "trail.control-plane.w2"}
    other.close()


def test_a_folder_of_another_name_is_no_trail_of_a_control_plane(plane, audit):
    """`control-plane-old` and a POP's trail owe nothing."""
    for name in ("control-plane-old", "tokyo-1", "control-plane.wx"):
        (plane.settings.data / "audit" / "edge" / name).mkdir()

    assert writers_of(plane.settings) == {"control-plane"}


@pytest.mark.parametrize("given", [{"number": 0}, {"number": 10}, {"number": 2}])
def test_numbers_that_are_refused(plane, given):
    """One to nine, and a second one needs a database that both can reach."""
    with pytest.raises(ValueError, match="number"):
        replace(plane.settings, **given)


def test_a_reader_of_the_store_holds_the_report_back(plane, audit, subject):
    """While somebody's snapshot keeps SQLite's write-ahead log, the deleted rows are still on the disk."""
    if not plane.database.is_sqlite:
        return
    path = plane.database.engine.url.database
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT COUNT(*) FROM visitors").fetchone()
    with plane.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    seq = purge(plane, subject)
    assert plane.revoking.erasing.report(seq) is None

    other.close()
    plane.revoking.erasing.step()
    assert plane.revoking.erasing.report(seq) is not None


def test_a_purge_of_an_earlier_version_is_counted_when_it_is_asked_for_again(plane, audit, subject):
    """It owed nothing then; asked for again it owes, and is counted."""
    seq = purge(plane, subject)
    with plane.database.write() as connection:
        connection.execute(delete(erasures))
    assert plane.revoking.erasing.report(seq) is None

    assert purge(plane, subject) == seq
    assert plane.revoking.erasing.report(seq)["deleted"]["records"] == 0
