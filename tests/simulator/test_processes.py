"""Fleets of real processes: the measurement of what they enforce."""

from pathlib import Path

import pytest

from latency_gate.propagation import measure


@pytest.mark.slow
def test_two_processes_enforce_a_revocation_and_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement of the documentation, small: every pair is enforced, and by the entry that was caused."""
    monkeypatch.setattr("latency_gate.propagation.POLICY_EVERY", 2)

    document = measure(2, 2, push=True, out=tmp_path)

    assert [(event, kind) for event, kind, _, _ in document["delays_s"]] == [(0, "session")] * 2 + [(1, "policy")] * 2
    assert document["personalised_after_bound"] == 0
    assert 0 < document["sync_p50_s"] <= document["sync_max_s"] < 60
