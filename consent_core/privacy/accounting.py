"""What a noise promises, and which noise keeps a promise: zero-concentrated differential privacy.

    epsilon(rho(1, 76_125_335) * 5, 1e-5) == 5.0
    smallest_sigma2(5.0, 1e-5, units=5) == 76_125_335

A contribution is at most 2^12 grid steps long: one *unit* is rho = 2^24 / 2σ². Independent weeks add up. A whole week
added or removed is 1 unit; a week of which a part is replaced moves twice as far: 4 units.
Sources: discrete Gaussian noise gives rho = Δ²/2σ², each coordinate adding its own square, and epsilon follows by
Proposition 12 (v4): Canonne, Kamath, Steinke 2020 (arXiv:2004.00010). Weeks whose base depends on earlier results add
up: Bun, Steinke 2016 (arXiv:1605.02065); where σ² changes between them: Feldman, Zrnic 2021 (arXiv:2008.11193).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Final

from consent_core.privacy.grid import SENSITIVITY2

REPLACED: Final = 4  # units of a week that is changed rather than removed: (2C)²
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_PARTS: Final = 10**12  # a promise's rho is rounded down to this


def rho(units: int, sigma2: int) -> Fraction:
    """The rho of so many units of squared sensitivity under noise of parameter `sigma2`."""
    return Fraction(units * SENSITIVITY2, 2 * sigma2)


def epsilon(spent: Fraction | float, delta: float) -> float:
    """The least epsilon for which rho = `spent` gives (epsilon, delta). 0 for nothing spent.

    min over α > 1 of  αρ + [ln(1/δ) + (α-1) ln(1-1/α) - ln α] / (α-1); any α bounds it, so the search cannot err low.
    """
    amount = float(spent)
    if amount == 0:
        return 0.0

    def bound(log_order: float) -> float:
        above = math.exp(log_order)  # α - 1
        order = 1 + above
        return order * amount + (-math.log(delta) - math.log(order)) / above + math.log1p(-1 / order)

    return max(0.0, bound(_least(bound, -12.0, 18.0)))


@lru_cache(maxsize=256)
def promised_rho(promise: float, delta: float) -> Fraction:
    """The most rho that may be spent under (promise, delta), rounded down to 10^-12."""
    low, high = 0.0, promise
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon(middle, delta) <= promise else (low, middle)
    return Fraction(math.floor(low * _PARTS), _PARTS)


def smallest_sigma2(promise: float, delta: float, units: int) -> int:
    """The smallest whole σ² under which `units` stay within (promise, delta)."""
    return math.ceil(Fraction(units * SENSITIVITY2, 2) / promised_rho(promise, delta))


def units_of_days(days: int) -> int:
    """The most units that any `days` consecutive days hold: whole weeks count 1, weeks cut at an end count 4."""
    return max(_units(start, start + days) for start in range(7))


def guess(spent: Fraction | float) -> float:
    """How often the best guesser, asked "in or out?" with even odds, is right: Φ(√(2ρ)/2), the Gaussian limit."""
    return 0.5 + math.erf(math.sqrt(2 * float(spent)) / 2 / math.sqrt(2)) / 2


def _units(start: int, end: int) -> int:
    return sum(
        1 if start <= monday and monday + 7 <= end else REPLACED for monday in range(0, end, 7) if monday + 7 > start
    )


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden section."""
    for _ in range(120):
        one, other = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, other) if function(one) < function(other) else (one, high)
    return (low + high) / 2
