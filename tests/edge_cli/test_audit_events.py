"""What `edge audit read --event` tells apart."""

import pytest

from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.trust.providers.keyring import LocalKeyring
from edge_cli.audit_events import ALL, NAMES, OTHER, PEOPLE, POLL, event_of, is_of

POP_GRANT = {"listener": "public", "method": "POST", "route": "consent", "status": 200}
PLANE_POLL = {"listener": "mesh", "method": "GET", "route": "/v1/revocations", "status": 200}
SHRED = {"event": "shred", "keys": 1}


@pytest.fixture
def data(tmp_path):
    """A data directory with one trail: a yes between a hundred polls, and a shredding."""
    provider = LocalKeyring(tmp_path / "keyring" / "wrapping.json")
    directory = tmp_path / "audit" / "edge" / "control-plane"
    audit = AuditWriter.open(directory, "control-plane", provider, ManualClock(), AuditLimits(seal_every_s=None))
    for fields in (*[PLANE_POLL] * 50, {**POP_GRANT, "route": "/v1/consents"}, *[PLANE_POLL] * 50, SHRED):
        audit.append(fields)
    audit.close()
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        (POP_GRANT, "grant"), (PLANE_POLL, POLL), (SHRED, "shred"), ({**POP_GRANT, "method": "DELETE"}, "withdraw"),
        ({**PLANE_POLL, "method": "POST"}, "revoke"), ({**POP_GRANT, "route": None}, OTHER), ({}, OTHER),
    ],
)  # fmt: skip
def test_each_record_is_of_one_event(fields, event):
    """A poll is of no person, and everything else is."""
    assert event_of(fields) == event
    assert [name for name in NAMES if is_of(fields, name)] == [
        name for name in NAMES if name in {event, ALL} or (name == PEOPLE and event != POLL)
    ]


@pytest.mark.parametrize(("event", "count"), [(None, 2), ("grant", 1), ("poll", 100), ("all", 102), ("revoke", 0)])
def test_polls_are_read_apart_from_people(edge, data, event, count):
    """A hundred polls hide no yes; who wants them asks for them."""
    asked = () if event is None else ("--event", event)
    said = edge("audit", "read", "control-plane", *asked, "--limit", "500", "--data", data, "--json")

    assert (said.code, len(said.json)) == (0, count)


def test_an_unknown_event_is_a_usage_error(edge, data):
    """An empty answer would look like nothing happened."""
    said = edge("audit", "read", "control-plane", "--event", "grants", "--data", data)

    assert said.code == 2
    assert "withdraw" in said.err


def test_an_unknown_trail_is_named_with_those_that_are_here(edge, data):
    """Folder, option and what there is."""
    said = edge("audit", "read", "tokyo-9", "--data", data, "--json")

    assert (said.code, said.json["error"]["code"]) == (1, "audit-unknown")
    assert all(part in said.json["error"]["message"] for part in (str(data), "--data", "control-plane"))
