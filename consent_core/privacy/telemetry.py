"""One bit of a device, hidden by randomised response: what leaves a device says little of it, a day's sum says enough.

    reports = reports.with_day(day)                 # counted, and stored, before anything is sent
    sent = randomised(True, os.urandom)
    estimate(ones=431, reports=1_000).sentence()    # "35% ± 6% of 1000 devices"

Warner 1965: with probability e/(1+e) the device tells the truth, else the opposite: epsilon = 1 for one report. The
interval is the noise's own, about that day's devices, and says nothing of other devices or days.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consent_core.errors import Rejected

EPSILON: Final = 1.0  # of one report
MOST_A_YEAR: Final = 8  # of one device, on any subject: 8 · EPSILON in 365 days
YEAR_DAYS: Final = 365
LEAST: Final = 100  # devices: below it the noise is most of what a number would say
SAID: Final = (
    "Each report hides one answer well (ε = 1). A device whose answer is always the same is found out in 91 of 100 "
    "cases by 8 reports (99.6 of 100 by 30)."
)

_TRUTH: Final = math.exp(EPSILON) / (1 + math.exp(EPSILON))
_BITS: Final = 64
_TRUE_BELOW: Final = round(_TRUTH * 2**_BITS)
_TWO_SIDED_95: Final = 1.959964

RandomBytes = Callable[[int], bytes]


def randomised(bit: bool, random_bytes: RandomBytes) -> bool:
    """The bit that is sent."""
    return bit if int.from_bytes(random_bytes(_BITS // 8)) < _TRUE_BELOW else not bit


@dataclass(frozen=True, slots=True)
class Reports:
    """The days (since 1970, UTC) on which a device reported. A lost report is spent."""

    days: tuple[int, ...] = ()

    def with_day(self, day: int) -> "Reports":
        """One more. To be on the disk before the report is sent. A clock that was set back frees nothing.

        Raises: Rejected("telemetry-repeat", 409), Rejected("telemetry-cap", 429).
        """
        if day in self.days:
            raise Rejected("telemetry-repeat", "this day's report is spent: send the same bytes again", status=409)
        near = tuple(one for one in self.days if abs(one - day) < YEAR_DAYS)
        if len(near) >= MOST_A_YEAR:
            raise Rejected("telemetry-cap", f"{MOST_A_YEAR} reports in {YEAR_DAYS} days are spent", status=429)
        return Reports((*near, day))


def drawn_days(first: int, random_bytes: RandomBytes) -> tuple[int, ...]:
    """On which days of the year from `first` on a device reports: drawn, so that the day says nothing of it."""
    ranked = sorted(range(first, first + YEAR_DAYS), key=lambda _: random_bytes(_BITS // 8))
    return tuple(sorted(ranked[:MOST_A_YEAR]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of how many devices of a day the bit is true. `half`: half the 95 % interval. Below 0 is shown as it is."""

    reports: int
    value: float
    half: float

    @property
    def is_enough(self) -> bool:
        """Whether it may be shown as a number."""
        return self.reports >= LEAST

    def covers(self, truth: int) -> bool:
        """Whether the interval holds this number."""
        return abs(self.value - truth) <= self.half

    def sentence(self) -> str:
        """What a person reads."""
        if not self.is_enough:
            return f"too few: {self.reports} devices of at least {LEAST}"
        share, half = (number / self.reports for number in (self.value, self.half))
        return f"{share:.0%} ± {half:.0%} of {self.reports} devices"


def estimate(ones: int, reports: int) -> Estimate:
    """From a day's sum. Raises: ValueError for a sum that no reports give."""
    if not 0 <= ones <= reports:
        raise ValueError("ones: expected 0 to the number of reports")
    spread = 2 * _TRUTH - 1
    value = (ones - reports * (1 - _TRUTH)) / spread
    return Estimate(reports, value, _TWO_SIDED_95 * math.sqrt(reports * _TRUTH * (1 - _TRUTH)) / spread)
