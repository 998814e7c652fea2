"""An operator's scraper sees how the ledger stands, and nothing of what people do."""

import re
from dataclasses import replace

import pytest

from consent_core.trust.trust_file import Witness
from control_plane.app import create_app
from control_plane.metrics import admin_application
from tests.control_plane.conftest import Caller


@pytest.fixture
def admin(plane):
    return Caller(admin_application(plane))


def numbers(admin):
    text = admin("GET", "/metrics").text
    lines = re.findall(r"^(consent_edge_\w+)\{([^}]*)\} (\S+)$", text, re.MULTILINE)
    return {name + labels.replace('pop="control-plane"', ""): float(value) for name, labels, value in lines}


def test_the_page_follows_the_ledger(plane, browser, admin):
    """Sizes, waiting time, findings; all read when somebody looks."""
    browser().grant("contextual")
    plane.ledger.tick()
    plane.ledger.store.note_finding("store-rewound", "tried", 0)
    seen = numbers(admin)

    size = float(plane.ledger.seen().size)
    assert (seen["consent_edge_ledger_size"], seen["consent_edge_ledger_published_size"]) == (size, size)
    assert seen["consent_edge_ledger_findings"] == 1
    assert seen["consent_edge_ledger_unwitnessed_seconds"] == seen["consent_edge_archive_lag_leaves"] == 0


def test_a_missing_witness_shows_in_seconds(settings):
    """From the first beat that was not published; the ledger still takes leaves."""
    plane = create_app(replace(settings, witnesses=("w1=http://127.0.0.1:1",)))
    admin = Caller(admin_application(plane))
    plane.keys.set_trust(witnesses=(Witness("w1", b"w" * 32),), witness_quorum=1)
    plane.ledger.tick()
    plane.settings.clock.advance(42)

    assert numbers(admin)["consent_edge_ledger_unwitnessed_seconds"] == 42
    assert admin("GET", "/readyz").status_code == 200
    plane.close()


def test_a_closed_ledger_is_not_ready_and_says_why(plane, admin):
    """So that nobody has to read logs."""
    assert admin("GET", "/readyz").json() == {"store": True, "ledger": None}
    plane.ledger.sequencer.progress.closed = "ledger-rewound"
    answer = admin("GET", "/readyz")

    assert (answer.status_code, answer.json()) == (503, {"store": True, "ledger": "ledger-rewound"})


def test_refusals_are_counted_by_code(plane, public, admin):
    """What the routes refused, by family and code."""
    public("GET", "/ledger/attesters/9")

    assert numbers(admin)['consent_edge_rejected_totalcode="ledger-missing",'] == 1


def test_an_archive_that_lags_shows(settings, browser):
    """Leaves that are published and not yet in the second place."""
    plane = create_app(replace(settings, archive=str(settings.data / "archive")))
    plane.ledger.tick()
    assert numbers(Caller(admin_application(plane)))["consent_edge_archive_lag_leaves"] == 0
    (settings.data / "archive" / "checkpoint").unlink()
    assert numbers(Caller(admin_application(plane)))["consent_edge_archive_lag_leaves"] == plane.ledger.seen().size
    plane.close()
