"""Ports that are given out belong to the server they were given out for."""

import socket
from pathlib import Path

import pytest

from fleet import ports
from fleet.ports import LOOPBACK, PORTS, free_port, free_ports


@pytest.fixture
def port() -> int:
    return free_port()


def bound(port: int, *, reuse: bool) -> socket.socket:
    """As a search for a free port binds, or as a server does. Raises: OSError."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock


def test_ports_are_free_different_and_out_of_the_way() -> None:
    """A port in the kernel's ephemeral range may be taken by a POP's own connection before it is bound."""
    found = free_ports(60)

    assert len(set(found)) == 60
    assert set(found) <= set(PORTS)
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(found) < low


def test_no_other_search_finds_a_port_that_was_given_out(port: int) -> None:
    """Two test processes start their fleets in the same second."""
    with pytest.raises(OSError, match="in use"):
        bound(port, reuse=False)


def test_its_server_binds_it_again_and_again(port: int) -> None:
    """A process that was killed and starts again finds its port."""
    for _ in range(3):
        with bound(port, reuse=True) as server:
            server.listen()
            with socket.create_connection((LOOPBACK, port)) as asked:
                assert asked.getpeername()[1] == port


def test_one_server_a_port(port: int) -> None:
    """The reservation does not hide that another process listens."""
    with bound(port, reuse=True) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            bound(port, reuse=True)


def test_until_its_server_listens_a_connection_is_refused(port: int) -> None:
    """Who waits for the server does not take the reservation for it."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


def test_reservations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that starts fleets all day does not run out of file descriptors."""
    monkeypatch.setattr(ports, "KEPT", 3)
    monkeypatch.setattr(ports, "_kept", type(ports._kept)())
    found = free_ports(5)

    assert len(ports._kept) == 3
    for gone in found[:2]:
        bound(gone, reuse=False).close()
    for kept in found[2:]:
        with pytest.raises(OSError, match="in use"):
            bound(kept, reuse=False)
