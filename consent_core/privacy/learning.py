"""The model that follows from measurements: a function of what was published, the plan, and nothing else.

    weights = learned(base, measurements, planned, mechanism, step=250)
    learned(base, without(measurements, "tokyo-1", weeks), …)       # replay: as if that place had sent nothing

Whole numbers are added first and turned into floats once a week, weeks in their order: the same measurements give the
same bits in any order. The divisor is the visits that the signed plan names, never a count of contributions, which
would be a figure outside the noise. Source: DP-FedSGD of McMahan et al. 2018 (arXiv:1710.06963), one step a week.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from consent_core.privacy.clipping import Floats
from consent_core.privacy.grid import Grid, total
from consent_core.privacy.mechanism import Mechanism


@dataclass(frozen=True, slots=True)
class Measurement:
    """One place's noised sum of one week."""

    pop: str
    week: str
    y: Grid


def learned(
    base: Floats, measurements: Iterable[Measurement], planned: Mapping[str, int], mechanism: Mechanism, step: float
) -> Floats:
    """`base` plus `step` times each week's mean. planned: visits a day of each place."""
    weights = base.astype(float)
    for _, rows in sorted(_by_week(measurements).items()):
        visits = sum(planned[row.pop] for row in rows)
        weights = weights + (step * mechanism.grid_step / visits) * total([row.y for row in rows], len(base))
    return weights


def without(measurements: Iterable[Measurement], pop: str, weeks: Collection[str]) -> list[Measurement]:
    """All but those of one place and some weeks."""
    return [row for row in measurements if row.pop != pop or row.week not in weeks]


def _by_week(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    weeks: dict[str, list[Measurement]] = {}
    for row in measurements:
        weeks.setdefault(row.week, []).append(row)
    return weeks
