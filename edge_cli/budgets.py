"""The promise of the shipped policy in numbers, and the noise that other promises would need."""

from collections.abc import Sequence
from typing import Any

from consent_core.errors import Unavailable
from consent_core.policy.learning import LearningPolicy, read_learning
from consent_core.policy.sources import read_sources
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.statement import promises
from consent_core.resources import resource


def promised() -> list[dict[str, Any]]:
    """One row for each span of one pseudonym's time, for a reader of every update."""
    return [_row(promise.to_json()) for promise in promises(_shipped().mechanism)]


def compared(epsilons: Sequence[str]) -> list[dict[str, Any]]:
    """For each epsilon of the policy's unit: sigma2, the noise in units of one contribution, and three guesses."""
    own = _shipped().mechanism
    return [_needs(Mechanism.promising(own.weeks, epsilon, own.delta, own.clip)) for epsilon in epsilons]


def _needs(mechanism: Mechanism) -> dict[str, Any]:
    week, _, unit, _, year, _ = (f"{100 * promise.guess:.1f} %" for promise in promises(mechanism))
    noise = mechanism.sigma2**0.5 / 4096
    return {
        "epsilon": mechanism.epsilon,
        "sigma2": mechanism.sigma2,
        "noise / contribution": f"{noise:.2f}",
        "guess of a week": week,
        "of the unit": unit,
        "of 53 weeks": year,
    }


def _row(promise: dict[str, Any]) -> dict[str, Any]:
    epsilons = {f"epsilon at {delta}": f"{value:.2f}" for delta, value in promise["epsilon"].items()}
    return {"span": promise["span"], "rho": promise["rho"], **epsilons, "guess": f"{100 * promise['guess']:.1f} %"}


def _shipped() -> LearningPolicy:
    learning = read_learning(read_sources(resource("policies"), resource("legal")).data["consent_edge"]["settings"])
    if learning is None:
        raise Unavailable("policy-missing", "the policy has no learning")
    return learning
