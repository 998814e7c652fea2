"""The records of `wit/world.wit` as Python values: what goes into a function and what comes out.

Field order is WIT order and field names are the WIT names in snake case; enums are their case names as strings.
Lists are tuples, so that every value can be a key of a memo. Importable without wasmtime: native functions, the POP's
pipeline and tests share these. The token's own values are those of the one token parser.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from consent_core.formats.token import REJECTIONS, Claims, Expectation
from consent_core.formats.token import Key as VerificationKey

T = TypeVar("T")

PACKAGE = "consent-edge:functions"
VERSION = "0.1.0"
CONSENT_INTERFACE = f"{PACKAGE}/consent@{VERSION}"
PERSONALIZATION_INTERFACE = f"{PACKAGE}/personalization@{VERSION}"

ENTROPY_VALUES = 16  # entropy is 0 to 15; a propensity counts how many of these lead to an asset
ADJUSTMENT_LIMIT = 100  # percent, both ways

InteractionKind: TypeAlias = Literal["impression", "click", "purchase"]
DecisionError: TypeAlias = Literal["no-candidates", "no-signal", "bad-entropy", "bad-input"]
DECISION_ERRORS = ("no-candidates", "no-signal", "bad-entropy", "bad-input")


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The good half of a WIT `result`."""

    value: T


@dataclass(frozen=True, slots=True)
class Err(Generic[T]):
    """The other half: an expected failure. Never an exception at this boundary."""

    value: T


@dataclass(frozen=True, slots=True)
class PageContext:
    """Where the visitor is on the site. Present only while `contextual` is effective."""

    path: str
    section: str
    tags: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """One thing this visitor did at this POP. `days_ago`: 0 to 255. Present only while `behavioral` is effective."""

    kind: InteractionKind
    item: str
    tags: tuple[str, ...]
    days_ago: int


@dataclass(frozen=True, slots=True)
class ExperimentArm:
    """The visitor's arm of one experiment. Present only while `experimental` is effective."""

    experiment: str
    arm: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What a function may see: one field per category, None where it is not effective."""

    page: PageContext | None = None
    history: tuple[Interaction, ...] | None = None
    experiment: ExperimentArm | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be shown in the slot. `copies`: at least one text, the first is the plain one."""

    asset: str
    tags: tuple[str, ...]
    copies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Percent, -100 to 100; 0 leaves the image as it is."""

    brightness: int = 0
    saturation: int = 0
    warmth: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice. `propensity`: how many of the 16 values of `entropy` lead to this asset."""

    asset: str
    copy: str
    adjustment: Adjustment
    propensity: int
    explored: bool


# Records are structural at the C interface: a result becomes the value whose fields are the ones named here.
RECORDS: dict[tuple[str, ...], type] = {
    **{
        tuple(record.__dataclass_fields__): record
        for record in (PageContext, Interaction, ExperimentArm, Signals, Candidate, Adjustment, Decision)
    },
    **{tuple(record._fields): record for record in (Claims, Expectation, VerificationKey)},
}

__all__ = [
    "ADJUSTMENT_LIMIT",
    "CONSENT_INTERFACE",
    "DECISION_ERRORS",
    "ENTROPY_VALUES",
    "PACKAGE",
    "PERSONALIZATION_INTERFACE",
    "RECORDS",
    "REJECTIONS",
    "VERSION",
    "Adjustment",
    "Candidate",
    "Claims",
    "Decision",
    "DecisionError",
    "Err",
    "Expectation",
    "ExperimentArm",
    "Interaction",
    "InteractionKind",
    "Ok",
    "PageContext",
    "Signals",
    "VerificationKey",
]
