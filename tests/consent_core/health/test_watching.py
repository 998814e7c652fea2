"""Reasons are of two kinds, and each is told once when it begins and once when it ends."""

import logging
import re

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.health.certificates import certificate_look
from consent_core.health.disk import ROOM_BYTES, disk_faults, free_bytes
from consent_core.health.reasons import BY_CODE, REASONS
from consent_core.health.watching import Health, Seen
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.prometheus import page
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa
from consent_core.trust.svid_source import DevelopmentSource
from tests.conftest import ROOT

ROW = re.compile(r"^\| `([a-z-]+)` \| (leave|stay) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_the_page_lists_every_reason_as_the_source_does():
    """Code, kind, meaning and what to do, in the same order."""
    written = ROW.findall((ROOT / "docs/health.md").read_text())

    assert written == [(r.code, r.kind.value, r.meaning, r.action) for r in REASONS]


def test_no_code_stands_twice():
    """One reason, one code."""
    assert len(BY_CODE) == len(REASONS)


@pytest.mark.parametrize("code", BY_CODE)
def test_each_reason_is_of_one_kind(code):
    """What a probe fails on does not only alarm, and the other way round."""
    seen = Seen({code: "why"})

    assert seen.leave | seen.stay == {code: "why"}
    assert not seen.leave or not seen.stay


def test_a_reason_is_logged_once_when_it_begins_and_once_when_it_ends(caplog):
    """However often somebody looks meanwhile, and whatever the detail says."""
    faults = {}
    health = Health("tokyo-1", [lambda: dict(faults)])
    with caplog.at_level(logging.WARNING, "consent_edge.health"):
        health.look()
        for waited in range(3):
            faults["outbox-late"] = f"the oldest waits for {waited} s"
            health.look()
        faults.clear()
        health.look()
        health.look()

    assert caplog.messages == [
        "tokyo-1: outbox-late: the oldest waits for 0 s; look at the control plane",
        "tokyo-1: outbox-late has ended",
    ]


def test_a_part_that_cannot_answer_hides_no_other():
    """Its store has a look of its own."""

    def broken():
        raise Unavailable("store-io")

    health = Health("tokyo-1", [broken, lambda: {"store-corrupt": "file is not a database"}])

    assert health.look().leave == {"store-corrupt": "file is not a database"}


def test_every_reason_is_a_series_of_its_own():
    """0 while it does not hold, so that an alert can watch for a change."""
    metrics = Metrics("pop", "tokyo-1")
    metrics.watch_each("consent_edge_health", Seen({"clock-off": "90 s"}).gauges)
    text = page(metrics).decode()

    assert 'consent_edge_health{kind="stay",pop="tokyo-1",reason="clock-off"} 1.0' in text
    assert 'consent_edge_health{kind="leave",pop="tokyo-1",reason="disk-full"} 0.0' in text
    assert text.count("\nconsent_edge_health{") == len(REASONS)


@pytest.mark.parametrize(("left", "full"), [(0, True), (ROOM_BYTES - 1, True), (ROOM_BYTES, False)])
def test_a_disk_is_full_before_a_store_meets_it(tmp_path, left, full):
    """Whichever of the folders it is."""
    free = {tmp_path: 2**40, tmp_path / "audit": left}

    assert ("disk-full" in disk_faults(free, lambda folder: free[folder])) is full


def test_a_folder_that_is_gone_says_nothing(tmp_path):
    """Its store does; and the folder that is there is measured."""
    assert disk_faults([tmp_path / "gone"]) == {}
    assert free_bytes(tmp_path) > 0


def test_an_expired_certificate_is_a_reason_to_leave_and_a_new_one_ends_it(tmp_path):
    """At the second at which it runs out."""
    clock, name = ManualClock(), SpiffeId.of("ui-tools", "edge", "tokyo-1")
    source = DevelopmentSource(
        DevelopmentCa.open(tmp_path, "ui-tools", create=True, clock=clock), name, tmp_path / "svid", 3_600, clock
    )
    look = certificate_look(source, clock)
    clock.advance(3_599)
    before = look()
    clock.advance(11)
    after = look()
    source.refresh()

    assert (before, after, look()) == ({}, {"certificate-expired": "10 s ago"}, {})
