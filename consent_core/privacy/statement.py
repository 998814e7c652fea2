"""The promise as people read it: for each span of time, epsilon and how often the best guess would be right.

    [row.guess for row in promises(mechanism)] -> 59.3 %, 68.1 %, 70.0 %, …

Who reads every update sees `promises`. Who sees releases alone, made of at least `pops` places of equal weight, sees
the noise of all of them: rho divided by `pops` (Kairouz, Liu, Steinke 2021, arXiv:2102.06387: sums of discrete
Gaussians are as good as one of the summed variance, to 10^-12 and far beyond here).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from consent_core.privacy.accounting import REPLACED, epsilon, guess, rho, smallest_sigma2, units_of_days
from consent_core.privacy.mechanism import Mechanism

DELTAS: Final = (1e-5, 1e-6, 1e-7)
DELTA_OF_PEOPLE: Final = 10  # delta is at most one in so many times the pseudonyms


@dataclass(frozen=True, slots=True)
class Promise:
    """What one span of one pseudonym's time is protected by. epsilons: at `DELTAS`. guess: a coin is 0.5."""

    span: str
    units: int
    rho: Fraction
    epsilons: tuple[float, ...]
    guess: float

    def to_json(self) -> dict[str, Any]:
        """As releases and `flctl budget` print it."""
        epsilons = {f"{delta:.0e}": round(value, 3) for delta, value in zip(DELTAS, self.epsilons, strict=True)}
        numbers = {"units": self.units, "rho": round(float(self.rho), 6), "guess": round(self.guess, 4)}
        return {"span": self.span, **numbers, "epsilon": epsilons}


def promises(mechanism: Mechanism, pops: int = 1) -> list[Promise]:
    """The six rows. pops: 1 for who reads updates; else the fewest places in any release, for who sees releases."""
    spans = (
        ("one calendar week", 1),
        ("any single day", REPLACED),
        (f"{mechanism.weeks} calendar weeks (the unit)", mechanism.weeks),
        ("any 35 days", units_of_days(35)),
        ("53 calendar weeks", 53),
        ("any 365 days", units_of_days(365)),
    )
    return [_promise(span, units, rho(units, mechanism.sigma2) / pops) for span, units in spans]


def warnings(mechanism: Mechanism, pseudonyms: int) -> Sequence[str]:
    """What publishing the policy says aloud: a delta that is large for so many people, and the noise that would do."""
    at_most = 1 / (DELTA_OF_PEOPLE * pseudonyms)
    if float(mechanism.delta) <= at_most:
        return ()
    better = smallest_sigma2(float(mechanism.epsilon), at_most, mechanism.weeks)
    times = (better / mechanism.sigma2) ** 0.5
    return (
        f"delta {mechanism.delta} times {pseudonyms} pseudonyms is {float(mechanism.delta) * pseudonyms:.2g}; "
        f"{at_most:.0e} would need sigma2 {better} (noise x {times:.2f})",
    )


def _promise(span: str, units: int, spent: Fraction) -> Promise:
    return Promise(span, units, spent, tuple(epsilon(spent, delta) for delta in DELTAS), guess(spent))
