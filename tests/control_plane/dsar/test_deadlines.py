"""Deadlines as the law counts them: months, days and business days, each in its own zone, from receipt."""

from datetime import UTC, datetime

import pytest

from consent_core.resources import ROOT
from control_plane.dsar.deadlines import Deadlines
from control_plane.dsar.steps import KINDS

RULES = Deadlines.load(ROOT / "legal")
PLACES = ("EU", "UK", "US-CA", "SG", "TH", "JP", "ZZ")


def utc(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("place", "kind", "received", "due", "binding"),
    [
        ("EU", "deletion", "2027-01-31T11:00", "2027-02-28T11:00", "law"),  # no 31 February
        ("EU", "deletion", "2028-01-31T11:00", "2028-02-29T11:00", "law"),  # a leap year
        ("EU", "access", "2027-12-31T11:00", "2028-01-31T11:00", "law"),  # over the year
        ("EU", "access", "2027-01-30T23:30", "2027-02-27T23:30", "law"),  # already the 31st in Brussels
        ("EU", "access", "2027-03-15T11:00", "2027-04-15T10:00", "law"),  # summer time begins
        ("UK", "deletion", "2027-08-31T11:00", "2027-09-30T11:00", "law"),
        ("US-CA", "deletion", "2027-01-01T20:00", "2027-02-15T20:00", "law"),
        ("US-CA", "access", "2028-02-15T20:00", "2028-03-31T19:00", "law"),  # over a leap day, summer time
        ("US-CA", "objection", "2027-01-01T20:00", "2027-01-22T20:00", "law"),  # 15 business days from a Friday
        ("US-CA", "objection", "2027-01-02T06:00", "2027-01-23T06:00", "law"),  # still Friday in Los Angeles
        ("SG", "objection", "2027-01-01T00:00", "2027-01-15T00:00", "guidance"),
        ("SG", "access", "2027-01-01T00:00", "2027-01-31T00:00", "law"),
        ("TH", "deletion", "2027-01-01T00:00", "2027-04-01T00:00", "law"),
        ("TH", "access", "2027-01-01T00:00", "2027-01-31T00:00", "law"),
        ("JP", "deletion", "2028-01-31T00:00", "2028-03-01T00:00", "ours"),
        ("FR", "deletion", "2027-01-01T00:00", "2027-01-31T00:00", "ours"),  # a code that no rule names is unknown
    ],
)
def test_a_deadline_is_counted_in_its_own_zone(place, kind, received, due, binding):
    """The same time of day, that many months, days or business days later."""
    found = RULES.due(place, kind, utc(received))

    assert datetime.fromtimestamp(found.at, UTC) == datetime.fromtimestamp(utc(due), UTC)
    assert found.binding == binding


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_request_has_a_rule_with_its_source(place, kind):
    """No kind is without a deadline anywhere, and each says where it is written."""
    found = RULES.due(place, kind, utc("2027-01-01T00:00"))

    assert found.at > utc("2027-01-01T00:00")
    assert found.source
    assert found.binding in ("law", "guidance", "ours")


def test_alarms_ring_in_their_order():
    """At 12 h and 24 h of what can be worked on, at 75 % of the law's time since receipt, and when it is over."""
    received, confirmed, due = 0, 1_000, 100_000_0

    def rings(now):
        return RULES.alarms(confirmed, received, due, now)

    assert rings(confirmed + 12 * 3_600 - 1) == ()
    assert rings(confirmed + 12 * 3_600) == ("12 h",)
    assert rings(confirmed + 24 * 3_600) == ("12 h", "24 h")
    assert rings(750_000) == ("12 h", "24 h", "75 %")
    assert rings(due + 1) == ("12 h", "24 h", "75 %", "overdue")


def test_a_rule_without_a_source_is_refused(tmp_path):
    """A deadline that nobody can check is none."""
    text = (
        (ROOT / "legal/deadlines.toml")
        .read_text()
        .replace('source = "UK GDPR Art. 12(3), as the EU\'s"', 'source = ""')
    )
    (tmp_path / "deadlines.toml").write_text(text)
    with pytest.raises(ValueError, match="source"):
        Deadlines.load(tmp_path)
