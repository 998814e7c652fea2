"""An operator's scraper sees how the ledger stands, and nothing of what people do."""

import re
from dataclasses import replace

import pytest

from consent_core.trust.trust_file import Witness
from control_plane.app import create_app
from control_plane.dashboard.scraping import Pages
from control_plane.health import UNWITNESSED_S, health_of
from control_plane.metrics import admin_application
from tests.control_plane.conftest import Caller


@pytest.fixture
def admin(plane):
    return caller(plane)


def caller(plane):
    return Caller(admin_application(plane, health_of(plane), Pages({})))


def numbers(admin):
    text = admin("GET", "/metrics").text
    lines = re.findall(r"^(consent_edge_\w+)\{([^}]*)\} (\S+)$", text, re.MULTILINE)
    return {name + labels.replace('pop="control-plane"', ""): float(value) for name, labels, value in lines}


def test_the_page_follows_the_ledger(plane, browser, admin):
    """Sizes, waiting time, findings; all read when somebody looks."""
    browser().grant("contextual")
    plane.ledger.tick()
    plane.ledger.store.findings.add("store-rewound", "tried", 0)
    seen = numbers(admin)

    size = float(plane.ledger.seen().size)
    assert (seen["consent_edge_ledger_size"], seen["consent_edge_ledger_published_size"]) == (size, size)
    assert seen["consent_edge_ledger_findings"] == 1
    assert seen["consent_edge_ledger_unwitnessed_seconds"] == seen["consent_edge_archive_lag_leaves"] == 0


def test_the_page_says_how_much_room_is_left(admin):
    """Before the disk is full, and without a certificate where there is none."""
    seen = numbers(admin)

    assert seen["consent_edge_disk_free_bytes"] > 0
    assert "consent_edge_certificate_left_seconds" not in seen


def test_a_missing_witness_shows_in_seconds(settings):
    """From the first beat that was not published; the ledger still takes leaves."""
    plane = create_app(replace(settings, witnesses=("w1=http://127.0.0.1:1",)))
    admin = caller(plane)
    plane.keys.set_trust(witnesses=(Witness("w1", b"w" * 32),), witness_quorum=1)
    plane.ledger.tick()
    plane.settings.clock.advance(42)

    assert numbers(admin)["consent_edge_ledger_unwitnessed_seconds"] == 42
    assert admin("GET", "/readyz").json() == {"leave": {}, "stay": {}}
    plane.settings.clock.advance(UNWITNESSED_S)
    answer = admin("GET", "/readyz")
    assert (answer.status_code, answer.json()["stay"]) == (200, {"ledger-unwitnessed": "for 342 s"})
    plane.close()


def test_a_closed_ledger_says_why_and_takes_no_control_plane_out(plane, admin):
    """All control planes of a deployment share it: consents are still answered."""
    plane.ledger.sequencer.progress.closed = "ledger-rewound"
    answer = admin("GET", "/readyz")

    assert (answer.status_code, answer.json()) == (200, {"leave": {}, "stay": {"ledger-closed": "ledger-rewound"}})


def test_a_control_plane_without_its_store_is_not_ready(plane, admin):
    """It answers nothing without it."""
    with plane.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE log_head RENAME TO elsewhere")
    answer = admin("GET", "/readyz")

    assert (answer.status_code, list(answer.json()["leave"])) == (503, ["store-away"])


def test_refusals_are_counted_by_code(plane, public, admin):
    """What the routes refused, by family and code."""
    public("GET", "/ledger/attesters/9")

    assert numbers(admin)['consent_edge_rejected_totalcode="ledger-missing",'] == 1


def test_an_archive_that_lags_shows(settings, browser):
    """Leaves that are published and not yet in the second place."""
    plane = create_app(replace(settings, archive=str(settings.data / "archive")))
    plane.ledger.tick()
    assert numbers(caller(plane))["consent_edge_archive_lag_leaves"] == 0
    (settings.data / "archive" / "checkpoint").unlink()
    assert numbers(caller(plane))["consent_edge_archive_lag_leaves"] == plane.ledger.seen().size
    plane.close()
