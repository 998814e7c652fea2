"""Weeks of one deployment: places show and clip, noise is added once a place, the sum moves the model.

    for week in play(shop, Deployment(pops=20, visitors=1000, mechanism=mechanism)): ...

A visitor who comes contributes once a week with one showing: the hardest case, since a week of several would weigh
more within the same clip. So one of 3,456 contributions is possible (situation, asset, clicked or not), and a place's
sum is how often each was made times its whole numbers: the same sum as of the visitors one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from consent_core.decision.gradient import Showing, gradient
from consent_core.privacy.clipping import FIGURES, Floats, clipped
from consent_core.privacy.discrete_gaussian import noise
from consent_core.privacy.grid import Grid, to_grid
from consent_core.privacy.learning import Measurement, learned
from consent_core.privacy.ledger import Lines, spend, spent
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.weeks import index_of, later
from simulator.learning.shop import Shop

FIRST_WEEK: Final = "2027-W01"
SHARE: Final = 0.54  # of visitor-days that are a visitor's first of a week, in the mix of regular and rare visitors
EXPLORED: Final = 2 / 16  # as functions/personalization/app.py explores
SHOWN, CLICKED = 0, 1  # figures: of showings and of clicks
FIGURE: Final = 0.05**0.5  # of C: two figures of this size fill their share of the clip
INT8: Final = 127


@dataclass(frozen=True, slots=True)
class Deployment:
    """mechanism: its clip and grid always; its noise unless `noised` is false. visitors: visits a day of one place."""

    pops: int
    visitors: int
    mechanism: Mechanism
    noised: bool = True
    step: float = 250.0
    seed: int = 1

    @property
    def plan(self) -> dict[str, int]:
        """Visits a day by place."""
        return {f"pop-{n}": self.visitors for n in range(self.pops)}

    @property
    def contributions(self) -> int:
        """Of one place and week."""
        return int(7 * SHARE * self.visitors)


@dataclass(frozen=True, slots=True)
class Week:
    """served, greedy: click rate of what was shown, and of the model alone afterwards. told: the click rate that the
    noised figures say, with its standard error. spent: rho of the five weeks up to this one, of the worst place.
    """

    week: str
    served: float
    greedy: float
    told: float
    told_error: float
    spent: float


@dataclass(slots=True)
class _State:
    weights: Floats
    ledgers: dict[str, Lines] = field(default_factory=dict)


def play(shop: Shop, deployment: Deployment, weeks: int) -> Iterator[Week]:
    """Week after week from weights that know nothing."""
    random, state = np.random.default_rng(deployment.seed), _State(np.zeros(shop.phi.shape[2]))
    for n in range(weeks):
        week = later(FIRST_WEEK, n)
        shown = probabilities(shop, state.weights)
        for pop in deployment.plan:
            state.ledgers[pop] = spend(state.ledgers.get(pop, ()), week, deployment.mechanism)
        rows = _measured(shop, deployment, state.weights, shown, week, random)
        own = [Measurement(row.pop, week, row.y[:-FIGURES]) for row in rows]
        state.weights = learned(state.weights, own, deployment.plan, deployment.mechanism, deployment.step)
        told, error = _told(rows, deployment)
        rate = float((shown * shop.clicks).sum(axis=1).mean())
        yield Week(week, rate, greedy_rate(shop, state.weights), told, error, _spent(state.ledgers, week, deployment))


def probabilities(shop: Shop, weights: Floats) -> Floats:
    """How often each asset is shown in each situation: the best 14 of 16 times, two fixed others once each."""
    count, assets = shop.clicks.shape
    if not weights.any():
        return np.full((count, assets), 1 / assets)  # as the product does where it knows nothing
    order = np.argsort(-shop.scores(_baked(weights)), axis=1, kind="stable")
    shown, rows = np.zeros((count, assets)), np.arange(count)
    shown[rows, order[:, 0]] = 1 - EXPLORED
    for turn in (0, 1):
        shown[rows, order[rows, 1 + (rows * 7 + turn) % (assets - 1)]] += EXPLORED / 2
    return shown


def greedy_rate(shop: Shop, weights: Floats) -> float:
    """The click rate of always showing what the baked weights hold to be best."""
    best = shop.scores(_baked(weights)).argmax(axis=1)
    return float(shop.clicks[np.arange(len(best)), best].mean())


def _baked(weights: Floats) -> Floats:
    """One signed byte a weight, as a release holds them."""
    largest = float(np.abs(weights).max())
    return np.rint(weights * (INT8 / largest)) if largest else weights


def _measured(
    shop: Shop, deployment: Deployment, weights: Floats, shown: Floats, week: str, random: np.random.Generator
) -> list[Measurement]:
    possible, mechanism = _contributions(shop, weights, float(deployment.mechanism.clip)), deployment.mechanism
    chances, rows = (shown / len(shown)).ravel(), []
    for pop in deployment.plan:
        showings = random.multinomial(deployment.contributions, chances)
        clicks = random.binomial(showings, shop.clicks.ravel())
        counts = np.concatenate((showings - clicks, clicks)).astype(float)
        y = (counts @ possible).astype(np.int64)  # exact: whole floats far below 2^53
        if deployment.noised:
            y = y + noise(len(y), mechanism.sigma2, random.bytes)
        rows.append(Measurement(pop, week, y))
    return rows


def _contributions(shop: Shop, weights: Floats, clip: float) -> Floats:
    """Each possible contribution as whole numbers: those without a click, then those with one."""
    cells = shop.phi.reshape(-1, shop.phi.shape[2])
    return np.array([_contribution(cell, weights, reward, clip) for reward in (0, 1) for cell in cells], dtype=float)


def _contribution(cell: Floats, weights: Floats, reward: int, clip: float) -> Grid:
    used = np.nonzero(cell)[0]
    features = dict(zip(used.tolist(), cell[used].tolist(), strict=True))
    vector = np.zeros(len(cell) + FIGURES)
    for bucket, value in gradient(weights, [Showing(features, reward)]).items():  # type: ignore[arg-type]
        vector[bucket] = value
    vector[len(cell) + SHOWN], vector[len(cell) + CLICKED] = FIGURE * clip, FIGURE * clip * reward
    q = to_grid(clipped(vector, clip), clip)
    assert q is not None
    return q


def _told(rows: list[Measurement], deployment: Deployment) -> tuple[float, float]:
    """The click rate that the figures say, and the standard error that noise alone gives it."""
    figures = np.sum([row.y[-FIGURES:] for row in rows], axis=0).astype(float)
    sigma = (deployment.mechanism.sigma2 * len(rows)) ** 0.5 if deployment.noised else 0.0
    rate = figures[CLICKED] / figures[SHOWN]
    return float(rate), float(sigma * (1 + rate**2) ** 0.5 / figures[SHOWN])


def _spent(ledgers: dict[str, Lines], week: str, deployment: Deployment) -> float:
    window = range(index_of(week) - deployment.mechanism.weeks + 1, index_of(week) + 1)
    return max(float(spent(lines, window)) for lines in ledgers.values())
