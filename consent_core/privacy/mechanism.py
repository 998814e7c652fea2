"""The parameters of learning that a deployment's signed policy states, and what they promise.

    mechanism = Mechanism(weeks=5, epsilon="5", delta="1e-5", sigma2=76_125_335, clip="0.4")
    mechanism.require_honest()            # sigma2 is the smallest that keeps (5, 1e-5); another is refused

Decimals are kept as the texts that were signed. Nothing here chooses a number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.fields import Fields
from consent_core.privacy.accounting import promised_rho, rho, smallest_sigma2
from consent_core.privacy.grid import GRID

_DECIMAL = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?(?:e-[0-9]{1,2})?")
_WHOLE = re.compile(r"[1-9][0-9]{0,15}")
MAX_WEEKS = 53
MAX_EPSILON = 20.0  # beyond it the promise is none


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One noise and its promise: (epsilon, delta) for any `weeks` consecutive calendar weeks of one pseudonym."""

    weeks: int
    epsilon: str
    delta: str
    sigma2: int
    clip: str

    @classmethod
    def promising(cls, weeks: int, epsilon: str, delta: str, clip: str) -> "Mechanism":
        """The mechanism of least noise that keeps a promise."""
        return cls(weeks, epsilon, delta, smallest_sigma2(float(epsilon), float(delta), weeks), clip)

    @property
    def rho(self) -> Fraction:
        """What one week spends."""
        return rho(1, self.sigma2)

    @property
    def promised(self) -> Fraction:
        """What any `weeks` weeks may spend."""
        return promised_rho(float(self.epsilon), float(self.delta))

    @property
    def digest(self) -> str:
        """What ledger lines and updates name it by."""
        return sha256_digest(canonical_json(self.to_json()))

    @property
    def grid_step(self) -> float:
        """The length of one grid step."""
        return float(self.clip) / GRID

    def to_json(self) -> dict[str, Any]:
        """The members as policy and updates write them."""
        words = {"epsilon": self.epsilon, "delta": self.delta, "clip": self.clip}
        return {**words, "weeks": self.weeks, "sigma2": str(self.sigma2), "grid": GRID}

    def require_honest(self) -> None:
        """Raises: Rejected("mechanism-noise") unless sigma2 is exactly what the promise needs."""
        needed = smallest_sigma2(float(self.epsilon), float(self.delta), self.weeks)
        if self.sigma2 != needed:
            raise Rejected("mechanism-noise", f"({self.epsilon}, {self.delta}) needs sigma2 {needed}")


def read_mechanism(value: Mapping[str, Any]) -> Mechanism:
    """The mechanism that a policy or an update states. Raises: Rejected("mechanism-malformed" | "mechanism-noise")."""
    fields = Fields(dict(value), _malformed, ("weeks", "epsilon", "delta", "sigma2", "clip", "grid"))
    mechanism = Mechanism(
        weeks=fields.number("weeks"),
        epsilon=fields.matching("epsilon", _DECIMAL),
        delta=fields.matching("delta", _DECIMAL),
        sigma2=int(fields.matching("sigma2", _WHOLE)),
        clip=fields.matching("clip", _DECIMAL),
    )
    if fields.number("grid") != GRID or not 1 <= mechanism.weeks <= MAX_WEEKS:
        raise _malformed(f"the grid is {GRID}, weeks are 1 to {MAX_WEEKS}")
    if not (
        0 < float(mechanism.epsilon) <= MAX_EPSILON and 0 < float(mechanism.delta) < 0.01 and float(mechanism.clip)
    ):
        raise _malformed(f"epsilon is up to {MAX_EPSILON:g}, delta below 0.01, clip above 0")
    mechanism.require_honest()
    return mechanism


def _malformed(message: str) -> Rejected:
    return Rejected("mechanism-malformed", message)
