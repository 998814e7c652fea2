"""The body that a page sends to `/v1/vitals`: how fast it was, and what was shown and clicked, without a name.

    {"vitals": [{"name": "LCP", "value": 0.4, "slot": "home-hero", "state": "contextual", "model": "0f3a…"},
                {"name": "impression", "slot": "home-hero", "state": "contextual", "model": "0f3a…"}]}

Every label is from a closed list, so that a page can make no series of its own. A model that no release of this POP
is counts as `other`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.decision.seams import Personalizer
from consent_core.errors import Rejected
from consent_core.formats.fields import Fields
from consent_core.formats.token import CATEGORIES

MAX_REPORTS = 20  # in one request
MODEL_CHARACTERS = 12  # of a component's digest: 48 bits tell any two releases apart
NO_MODEL, OTHER_MODEL = "none", "other"
SHOWINGS = ("impression", "click")
# What a page may measure -> the metric it feeds and the largest believable value (seconds; layout shift has no unit).
VITALS = {
    "LCP": ("consent_edge_lcp_seconds", 120.0),
    "INP": ("consent_edge_inp_seconds", 120.0),
    "FCP": ("consent_edge_fcp_seconds", 120.0),
    "TTFB": ("consent_edge_ttfb_seconds", 120.0),
    "CLS": ("consent_edge_cls_ratio", 100.0),
    "swap-to-paint": ("consent_edge_swap_to_paint_seconds", 120.0),
}

_MODEL = re.compile(rf"[0-9a-f]{{{MODEL_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class Vital:
    """One measurement of a page. `state`: the consent state the page showed; `model`: the release that decided it."""

    metric: str
    value: float
    slot: str
    state: str
    model: str


@dataclass(frozen=True, slots=True)
class Showing:
    """A slot that came into view, or was clicked."""

    kind: str
    slot: str
    state: str
    model: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """The labels that a report may carry now: the catalogue's slots and the models that decide here."""

    slots: frozenset[str]
    models: frozenset[str]


def model_name(digest: str) -> str:
    """A release as metrics and pages name it: the beginning of its component's digest."""
    return digest.removeprefix("sha256:")[:MODEL_CHARACTERS]


def models_by_category(personalizers: Mapping[str, Personalizer]) -> dict[str, str]:
    """What decides each category now."""
    return {category: model_name(personalizer.digest) for category, personalizer in personalizers.items()}


def read_reports(body: dict[str, Any], allowed: Allowed) -> tuple[Vital | Showing, ...]:
    """One report, or several under `vitals`. Raises: Rejected("bad-request")."""
    if "vitals" not in body:
        return (_report(body, allowed),)
    reports = Fields(body, _refuse, ("vitals",)).items("vitals", MAX_REPORTS)
    return tuple(_report(report, allowed) for report in reports)


def _report(value: object, allowed: Allowed) -> Vital | Showing:
    if isinstance(value, dict) and value.get("name") in SHOWINGS:
        fields = Fields(value, _refuse, ("name", "slot"), ("state", "model"))
        slot = fields.one_of("slot", allowed.slots)
        return Showing(fields.one_of("name", SHOWINGS), slot, *_shown(fields, allowed))
    fields = Fields(value, _refuse, ("name", "value"), ("slot", "state", "model"))
    metric, most = VITALS[fields.one_of("name", VITALS)]
    slot = "page" if fields.absent("slot") else fields.one_of("slot", allowed.slots | {"page"})
    return Vital(metric, _measured(value, most), slot, *_shown(fields, allowed))


def _shown(fields: Fields, allowed: Allowed) -> tuple[str, str]:
    """Consent state and model. A default has no model, also where the page names one."""
    state = "default" if fields.absent("state") else fields.one_of("state", ("default", *CATEGORIES))
    model = NO_MODEL if fields.absent("model") else fields.matching("model", _MODEL)
    if state == "default":
        return state, NO_MODEL
    return state, model if model in allowed.models else OTHER_MODEL


def _measured(value: object, most: float) -> float:
    number = value["value"] if isinstance(value, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= most:
        raise _refuse(f"value: expected a number from 0 to {most:g}")
    return float(number)


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)
