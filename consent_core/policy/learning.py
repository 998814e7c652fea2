"""What the policy in force says of learning: the promise and its noise, the plan, and which models may learn.

    learning = read_learning(bundle.settings)     # None: this policy has no learning, so every update is refused

Publishing reads it too, so that a policy whose noise does not keep its promise is never in force.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent_core.errors import Rejected
from consent_core.formats.fields import Fields
from consent_core.formats.token import CATEGORIES
from consent_core.privacy.clipping import FIGURES
from consent_core.privacy.mechanism import Mechanism, read_mechanism
from consent_core.privacy.statement import warnings

DIMENSIONS: Final = 2048  # weights of one linear model (functions/personalization/features.py)
_PLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class LearningPolicy:
    """plan: visits a day of each place that may send. step: of one week's mean. pseudonyms: how many delta is for."""

    mechanism: Mechanism
    step: float
    plan: Mapping[str, int]
    pseudonyms: int
    models: tuple[str, ...]

    @property
    def length(self) -> int:
        """How many numbers a measurement has: each model's weights, then the figures."""
        return DIMENSIONS * len(self.models) + FIGURES

    @property
    def mechanism_stated(self) -> dict[str, Any]:
        """The member `mechanism` of an update."""
        stated = self.mechanism.to_json()
        return {name: stated[name] for name in ("clip", "grid", "sigma2")}

    @property
    def guarantee_stated(self) -> dict[str, Any]:
        """The member `guarantee` of an update."""
        promise, rho = self.mechanism, self.mechanism.rho
        return {
            "unit": f"pseudonym-{promise.weeks}-weeks",
            "neighbours": "add-remove-one",
            "weeks": promise.weeks,
            "rho_week": f"{rho.numerator}/{rho.denominator}",
            "epsilon": promise.epsilon,
            "delta": promise.delta,
        }

    def warnings(self) -> tuple[str, ...]:
        """What a publisher is told."""
        return tuple(warnings(self.mechanism, self.pseudonyms))


def read_learning(settings: Mapping[str, Any]) -> LearningPolicy | None:
    """Raises: Rejected("policy-learning" | "mechanism-malformed" | "mechanism-noise")."""
    if "learning" not in settings:
        return None
    fields = Fields(settings["learning"], _refused, ("mechanism", "step", "plan", "pseudonyms", "models"))
    plan, models = fields.mapping("plan"), fields.items("models", len(CATEGORIES))
    if not all(_PLACE.fullmatch(place) and type(visits) is int and visits > 0 for place, visits in plan.items()):
        raise _refused("plan: visits a day by place")
    if not models or not set(models) <= {"contextual", "behavioral"} or len(set(models)) != len(models):
        raise _refused("models: contextual, behavioral or both; experiments never learn")
    if not fields.number("step") or not fields.number("pseudonyms"):
        raise _refused("step and pseudonyms: above 0")
    mechanism = read_mechanism(fields.mapping("mechanism"))
    return LearningPolicy(mechanism, float(fields.number("step")), plan, fields.number("pseudonyms"), tuple(models))


def _refused(message: str) -> Rejected:
    return Rejected("policy-learning", message, status=422)
