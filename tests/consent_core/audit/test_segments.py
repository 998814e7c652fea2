"""Segments, days, rotation and retention: the trail stays whole while everything around it changes."""

import re
from pathlib import Path

from consent_core.audit.reader import read_records
from consent_core.audit.rotation import rotate
from consent_core.audit.verify import verify
from consent_core.clock import ManualClock
from consent_core.trust.providers.keyring import LocalKeyring

from .conftest import DAY_S, Open, fill, frames


def test_segments_end_by_size_and_time(
    opened: Open, directory: Path, clock: ManualClock, provider: LocalKeyring
) -> None:
    """A full or an old segment gives way to one with a new data key, in the same file."""
    audit = opened(segment_bytes=600, segment_s=100)
    fill(audit, 3)
    clock.advance(100)
    fill(audit, 1)
    headers = [frame for frame in frames(directory) if frame.is_header]

    assert len(headers) >= 3
    report = verify(directory, provider, [audit.head().text])
    assert (report.records, report.segments, report.problem) == (4, len(headers), None)


def test_a_day_is_a_file(opened: Open, directory: Path, clock: ManualClock, provider: LocalKeyring) -> None:
    """At midnight UTC the next file begins; a clock that goes back stays in the newer one."""
    audit = opened()
    fill(audit, 2)
    clock.advance(DAY_S)
    fill(audit, 2)
    clock.advance(-DAY_S)
    fill(audit, 2)

    assert [path.name for path in sorted(directory.glob("*.log"))] == ["2027-01-15.log", "2027-01-16.log"]
    assert verify(directory, provider, [audit.head().text]).records == 6


def test_rotation_wraps_everything_anew_while_the_writer_runs(
    opened: Open, directory: Path, provider: LocalKeyring, clock: ManualClock
) -> None:
    """Old and new segments stay open, all under the newest wrapping key, and the writer never stops."""
    audit = opened(segment_s=10)
    fill(audit, 3)
    clock.advance(10)
    fill(audit, 3)
    report = rotate(directory, provider)
    fill(audit, 3)
    clock.advance(10)
    fill(audit, 3)

    assert report.segments == 2
    wrapped = re.findall('"wrapped":"([^"]*)"', "".join(path.read_text() for path in directory.glob("*.keys")))
    assert {text.split(":")[1] for text in wrapped} == {"v2"}
    assert len(wrapped) == 3
    assert verify(directory, provider, [audit.head().text]).problem is None
    assert len([record for record in read_records(directory, provider) if record.person]) == 4


def test_retention_explains_where_the_trail_begins(
    opened: Open, directory: Path, clock: ManualClock, provider: LocalKeyring
) -> None:
    """Days beyond retention go with their keys; what remains verifies, because the removal is on record."""
    audit = opened()
    for _ in range(5):
        fill(audit, 3)
        clock.advance(DAY_S)
    fill(audit, 1)
    removed = audit.expire(keep_days=2)
    report = verify(directory, provider, [audit.head().text])

    assert removed == ["2027-01-15.log", "2027-01-16.log", "2027-01-17.log"]
    assert report.problem is None
    assert report.first_seq == 10
    assert any("retention" in notice for notice in report.notices)
    assert len(list(directory.glob("*.keys"))) == len(list(directory.glob("*.log"))) == 3
    assert audit.expire(keep_days=2) == []


def test_a_removed_beginning_without_a_record_is_a_problem(
    opened: Open, directory: Path, clock: ManualClock, provider: LocalKeyring
) -> None:
    """Deleting the oldest day by hand is not retention, also not next to a real one."""
    audit = opened()
    for _ in range(5):
        fill(audit, 3)
        clock.advance(DAY_S)
    audit.expire(keep_days=4)
    fill(audit, 1)
    sorted(directory.glob("*.log"))[0].unlink()
    report = verify(directory, provider)

    assert report.problem is not None
    assert report.problem.code == "audit-beginning"


def test_a_missing_day_in_the_middle_is_named(
    opened: Open, directory: Path, clock: ManualClock, provider: LocalKeyring
) -> None:
    """The day after does not follow from the day before."""
    audit = opened()
    for _ in range(3):
        fill(audit, 3)
        clock.advance(DAY_S)
    sorted(directory.glob("*.log"))[1].unlink()
    report = verify(directory, provider)

    assert report.problem is not None
    assert (report.problem.code, report.problem.seq, report.records) == ("audit-chain", 4, 3)
