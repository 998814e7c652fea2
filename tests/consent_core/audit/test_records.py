"""The audit trail: what goes in comes out, for those who may see it and as long as they may."""

from pathlib import Path

import pytest

from consent_core.audit.reader import read_records
from consent_core.audit.verify import verify
from consent_core.audit.visitors import VisitorKeys
from consent_core.clock import ManualClock
from consent_core.trust.providers.keyring import LocalKeyring

from .conftest import SUB, SUBJECT, WRITER, Open, fill


def test_every_request_is_there_refused_ones_too(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """N requests in, N records out, in order and opened."""
    audit = opened()
    fill(audit, 30)
    report = verify(directory, provider, [audit.head().text])
    records = list(read_records(directory, provider))

    assert (report.records, report.problem, report.writer) == (30, None, WRITER)
    assert [record.fields["n"] for record in records] == list(range(30))
    assert records[0].person == {"sub": SUB, "n": 0}
    assert (records[1].person, records[1].shredded) == (None, False)
    assert records[0].at == ManualClock().now()


def test_the_files_do_not_name_the_visitor(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """No file of the trail holds the visitor's id or subject, in text, hex or base64."""
    fill(opened(), 9)
    texts = [SUB, SUBJECT, SUB.encode().hex()]
    needles = [*(text.encode() for text in texts), bytes.fromhex(SUBJECT)]

    assert next(read_records(directory, provider)).person == {"sub": SUB, "n": 0}
    for path in directory.iterdir():
        data = path.read_bytes()
        assert not any(needle in data for needle in needles), path.name


def test_the_trail_is_the_owners_alone(opened: Open, directory: Path) -> None:
    """Mode 0600 for every file."""
    fill(opened(), 3)

    assert {path.name: path.stat().st_mode & 0o077 for path in directory.iterdir() if path.name != ".lock"} == {
        path.name: 0 for path in directory.iterdir() if path.name != ".lock"
    }


def test_shredding_leaves_the_chain_valid_and_the_visitor_unreadable(
    opened: Open, directory: Path, provider: LocalKeyring
) -> None:
    """What is left says that there was a request, not whose; another visitor stays readable; the act is recorded."""
    audit = opened()
    fill(audit, 3)
    audit.append({"n": 3}, subject="6" * 64, person={"sub": "other"})
    assert audit.shred(SUBJECT) == 1
    records = list(read_records(directory, provider))

    assert (records[0].person, records[0].shredded, records[0].fields["n"]) == (None, True, 0)
    assert records[3].person == {"sub": "other"}
    assert records[4].fields == {"event": "shred", "keys": 1}
    assert verify(directory, provider, [audit.head().text]).problem is None


def test_a_shredded_visitor_stays_unnamed(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """A request that still carries the old token, or one after a restart, does not name them again."""
    audit = opened()
    fill(audit, 1)
    audit.shred(SUBJECT)
    fill(audit, 1)
    audit.close()
    fill(opened(), 1)
    records = list(read_records(directory, provider))

    assert [record.shredded for record in records] == [True, False, True, True]
    assert [record.fields.get("n") for record in records] == [0, None, 0, 0]


def test_a_record_says_something(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """An empty one is its caller's mistake, and takes no number."""
    audit = opened()
    with pytest.raises(ValueError, match="says nothing"):
        audit.append({})
    fill(audit, 1)

    assert verify(directory, provider).records == 1


def test_shredding_by_another_process_counts(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """A second connection deletes; the first writer's cache does not bring the key back."""
    audit = opened()
    fill(audit, 1)
    VisitorKeys(directory, WRITER, provider).shred(SUBJECT, "2027-01")
    fill(audit, 1)

    assert all(record.shredded for record in read_records(directory, provider))
