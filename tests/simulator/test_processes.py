"""Fleets of real processes: ports, and the measurement of what they enforce."""

import socket
from pathlib import Path

import pytest

from fleet.processes import LOOPBACK, PORTS, free_ports
from latency_gate.propagation import measure


def test_ports_are_free_different_and_out_of_the_way() -> None:
    """A port in the kernel's ephemeral range may be taken by a POP's own connection before it is bound."""
    ports = free_ports(60)

    assert len(set(ports)) == 60
    assert set(ports) <= set(PORTS)
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < low
    for port in ports[:5]:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, port))


@pytest.mark.slow
def test_two_processes_enforce_a_revocation_and_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement of the documentation, small: every pair is enforced, and by the entry that was caused."""
    monkeypatch.setattr("latency_gate.propagation.POLICY_EVERY", 2)

    document = measure(2, 2, push=True, out=tmp_path)

    assert [(event, kind) for event, kind, _, _ in document["delays_s"]] == [(0, "session")] * 2 + [(1, "policy")] * 2
    assert document["personalised_after_bound"] == 0
    assert 0 < document["sync_p50_s"] <= document["sync_max_s"] < 60
