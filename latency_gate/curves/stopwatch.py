"""Time of a step, and memory that came with a load."""

import statistics
import time
from collections.abc import Callable

import psutil

SAMPLES = 200
MIB = 2**20


class Held:
    """Resident memory since it was made, MiB."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss

    def mib(self) -> float:
        """What came since."""
        return round((self._process.memory_info().rss - self._before) / MIB, 2)


def timed(step: Callable[[int], object], samples: int = SAMPLES) -> float:
    """Median microseconds of a call, after one that counts nothing."""
    taken = []
    for number in range(samples + 1):
        begun = time.perf_counter()
        step(number)
        taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken[1:]) * 1e6, 2)


def seconds_of(step: Callable[[], object]) -> float:
    """Microseconds of one call."""
    begun = time.perf_counter()
    step()
    return round((time.perf_counter() - begun) * 1e6, 2)
