"""The enums of `wit/world.wit` as guests see them, and the modules in which they find them.

For code that runs a function's `app.py` outside its own component: natively, or inside another component.
"""

from enum import Enum
from types import ModuleType
from typing import Any

from consent_core.decision import contract
from consent_core.formats import token

_RECORDS = ("PageContext", "Interaction", "ExperimentArm", "Signals", "Candidate", "Adjustment", "Decision")


def _cases(name: str, cases: tuple[str, ...]) -> type[Enum]:
    """A WIT enum as componentize-py spells it: `token-expired` is `TOKEN_EXPIRED`, numbered in WIT order."""
    return Enum(name, {case.upper().replace("-", "_"): number for number, case in enumerate(cases)})  # type: ignore[return-value]


Algorithm = _cases("Algorithm", tuple(token.ALGORITHMS.values()))
SignatureError = _cases("SignatureError", ("bad-key", "bad-signature"))
KeyAlgorithm = _cases("KeyAlgorithm", tuple(token.ALGORITHMS.values()))
Category = _cases("Category", token.CATEGORIES)
Rejection = _cases("Rejection", contract.REJECTIONS)
InteractionKind = _cases("InteractionKind", ("impression", "click", "purchase"))
DecisionError = _cases("DecisionError", contract.DECISION_ERRORS)


def case_name(case: Enum) -> str:
    """The WIT spelling of an enum case."""
    return case.name.lower().replace("_", "-")


def guest_key(key: token.Key) -> token.Key:
    """A verification key as a guest sees it: the algorithm is an enum case."""
    return key._replace(algorithm=KeyAlgorithm[key.algorithm.upper()])  # type: ignore[arg-type]


def host_claims(claims: token.Claims) -> token.Claims:
    """Claims as the host sees them: categories are strings."""
    return claims._replace(scopes=tuple(case_name(scope) for scope in claims.scopes))  # type: ignore[arg-type]


def consent_module() -> ModuleType:
    """What a guest imports as `wit_world.exports.consent`."""
    return made_module(
        "wit_world.exports.consent",
        KeyAlgorithm=KeyAlgorithm,
        Category=Category,
        Rejection=Rejection,
        VerificationKey=token.Key,
        Expectation=token.Expectation,
        Claims=token.Claims,
    )


def personalization_module() -> ModuleType:
    """What a guest imports as `wit_world.exports.personalization`."""
    return made_module(
        "wit_world.exports.personalization",
        InteractionKind=InteractionKind,
        DecisionError=DecisionError,
        **{name: getattr(contract, name) for name in _RECORDS},
    )


def made_module(name: str, **members: Any) -> ModuleType:
    """A module that no file holds."""
    module = ModuleType(name)
    module.__dict__.update(members)
    return module
