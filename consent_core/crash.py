"""Named lines at which a test may kill the process, so that "any process may be killed at any line" is tried.

    crash_point("outbox-answered")   # does nothing unless CONSENT_EDGE_CRASH=outbox-answered

`CONSENT_EDGE_CRASH` names one point, or `name:3` for the third time it is reached; `arm` does the same inside a
child process. The process dies by SIGKILL: no handler runs, no buffer is flushed. `pytest -k crash` lists the tests;
each point is named where it stands.
"""

import os
import signal

_armed: dict[str, int] = {}  # point -> how often it must still be reached


def arm(spec: str) -> None:
    """Die at the point `name`, or at the third time with `name:3`. For the child processes of tests."""
    name, _, count = spec.partition(":")
    _armed.clear()
    if name:
        _armed[name] = int(count or 1)


def crash_point(name: str) -> None:
    """Die here if this point was named; otherwise a look into an empty table."""
    if name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("CONSENT_EDGE_CRASH", ""))
