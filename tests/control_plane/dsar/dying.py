"""One look of the machine in a process of its own that a crash point may kill."""

import multiprocessing
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.crash import arm
from control_plane.app import create_app
from control_plane.settings import Settings


def _look(data: Path, now: int, point: str) -> None:
    plane = create_app(Settings(data=data, clock=ManualClock(now)))
    arm(point)
    plane.requests.machine.look()


def look(data: Path, now: int, point: str) -> int | None:
    """How the child ended: -9 at the point, 0 where it did not come there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_look, args=(data, now, point))
    child.start()
    child.join(600)
    return child.exitcode
