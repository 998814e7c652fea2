"""The table of steps: a request is done when every row of its kind is, each by every party that it names.

    verify → revoke → enforced → collect → register → purge → erased · devices · models → evidence → salts → notify

`after` names the steps that must be done first. `party` says who does a step: the request itself, each POP, each place
(every POP, then the control plane), each device, each release. Until there are devices and releases that learn from
people, those steps have one row, `none`, and are done at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

ONE, POPS, PLACES, DEVICES, RELEASES, HOLDERS = "one", "pops", "places", "devices", "releases", "holders"
REQUEST, NONE = "request", "none"  # the party of a step that is done once; that of a step without a party
FINAL = "register"  # what is written there is not taken back: no cancelling from here on


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a kind of request."""

    name: str
    after: tuple[str, ...] = ()
    party: str = ONE


_NO = (Step("verify"), Step("revoke", ("verify",)), Step("enforced", ("revoke",), POPS))
_DELETION = (
    *_NO,
    Step("collect", ("enforced",)),
    Step("register", ("collect",)),
    Step("purge", ("register",)),
    Step("erased", ("purge",), PLACES),
    Step("devices", ("purge",), DEVICES),
    Step("models", ("purge",), RELEASES),
    Step("evidence", ("erased", "devices", "models")),
    Step("salts", ("evidence",)),
    Step("notify", ("salts",)),
)
_STOP = (*_NO, Step("notify", ("enforced",)))
_ANSWER = (Step("verify"), Step("gather", ("verify",), HOLDERS), Step("notify", ("gather",)))
_CHANGE = (Step("verify"), Step("correct", ("verify",)), Step("notify", ("correct",)))

STEPS: Mapping[str, tuple[Step, ...]] = {
    "deletion": _DELETION,
    "objection": _STOP,
    "restriction": _STOP,
    "access": _ANSWER,
    "portability": _ANSWER,
    "rectification": _CHANGE,
}
KINDS = tuple(STEPS)


def step_of(kind: str, name: str) -> Step:
    """A step of a kind by its name."""
    return next(step for step in STEPS[kind] if step.name == name)
