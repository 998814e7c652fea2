"""Ports of this machine for servers that are about to start.

A port that is only looked up can be taken before its server binds it: by another fleet, by an outgoing connection. Each
port given out is therefore kept bound here, not listening. A process that looks for a free port finds it taken; the
server, which binds with SO_REUSEADDR as servers do, gets it, the first time and after each restart.
"""

import os
import secrets
import socket
from collections import deque
from contextlib import suppress

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below Linux's ip_local_port_range: no outgoing connection takes one
KEPT = 256  # file descriptors; far more ports than one process has servers at a time

_kept: deque[int] = deque()


def free_port() -> int:
    """A port that no process uses and that `free_ports` gives to no other one."""
    return free_ports(1)[0]


def free_ports(n: int) -> list[int]:
    """n different ports that no process uses and that `free_ports` gives to no other one.

    They stay reserved until this process ends or has been given 256 further ports.
    """
    found: list[int] = []
    while len(found) < n:
        port = secrets.choice(PORTS)
        with suppress(OSError):
            _keep(port)
            found.append(port)
    return found


def _keep(port: int) -> None:
    """Raises: OSError for a port that another socket is bound to."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, port))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from now on: who binds with it too may
        _kept.append(probe.detach())
    while len(_kept) > KEPT:
        os.close(_kept.popleft())
