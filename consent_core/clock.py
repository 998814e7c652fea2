"""Time as an argument: the one seam through which any package learns what time it is."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Wall time for dates and expiry; `elapsed` for ages, which must also count a suspended machine."""

    def now(self) -> int:
        """Unix seconds, UTC."""
        ...

    def elapsed(self) -> float:
        """Seconds since an arbitrary start; never goes back and counts suspend (CLOCK_BOOTTIME)."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Unix seconds, UTC."""
        return int(time.time())

    def elapsed(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class ManualClock:
    """A clock that moves only when told to. For tests and simulations."""

    wall: int = 1_800_000_000
    boot: float = 1_000.0

    def now(self) -> int:
        """Unix seconds, UTC."""
        return self.wall

    def elapsed(self) -> float:
        """Seconds since an arbitrary start."""
        return self.boot

    def advance(self, seconds: float) -> None:
        """Move both clocks forward together."""
        self.wall += int(seconds)
        self.boot += seconds
