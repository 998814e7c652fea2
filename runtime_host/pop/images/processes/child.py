"""The program of a render process. Started by the pool, with a descriptor in its arguments; never by hand.

It ends when its POP hangs up, and with the POP. It holds no secret: no key, no store, no environment but a path.
"""

import contextlib
import ctypes
import pickle
import resource
import signal
import socket
import sys
from pathlib import Path

from consent_core.errors import ConsentEdgeError
from runtime_host.pop.images.processes.frames import DONE, FAILED, READY, Frame, receive, send

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NO_NEW_PRIVS = 38


def main(channel: int, memory_bytes: int) -> None:
    """Do what is asked until the other end is gone. `memory_bytes`: more than the program itself needs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the POP decides
    end = socket.socket(fileno=channel)
    _confine()
    _limit(memory_bytes)
    send(end, READY)
    with contextlib.suppress(ConnectionError):
        while (frame := receive(end)) is not None:
            send(end, *answer(frame[1]))


def answer(job: bytes) -> Frame:
    """What became of a job: the bytes, or a code and what happened."""
    try:
        work, arguments = pickle.loads(job)  # noqa: S301 - the POP's own words
        return DONE, work(*arguments)
    except ConsentEdgeError as error:
        return FAILED, f"{error.code}\n{error.message}".encode()
    except MemoryError:
        return FAILED, b"render-failed\nneeds more memory than a render may take"
    except OverflowError:  # a number that no decoder of ours counts to
        return FAILED, b"render-failed\nlarger than can be counted"


def _limit(memory_bytes: int) -> None:
    """A decoder that grows is refused memory here, before the machine runs out of it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold visitors' pictures


def _confine() -> None:
    """End with the POP, and never gain a privilege."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
