"""Named lines at which a test may kill the process, so that "any process may be killed at any line" is tried.

    crash_point("outbox-answered")   # does nothing unless CONSENT_EDGE_CRASH=outbox-answered

`CONSENT_EDGE_CRASH` names one point, or `name:3` for the third time it is reached. The process dies by SIGKILL:
no handler runs, no buffer is flushed. `pytest -k crash` lists the tests; each point is named where it stands.
"""

import os
import signal

_NAME, _, _COUNT = os.environ.get("CONSENT_EDGE_CRASH", "").partition(":")
_left = [int(_COUNT or 1)]


def crash_point(name: str) -> None:
    """Die here if this point was named; otherwise a string comparison."""
    if name != _NAME:
        return
    _left[0] -= 1
    if _left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
