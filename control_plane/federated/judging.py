"""The checks of an update against its caller, its week and its policy. Each raises; none looks at another place."""

import math

from consent_core.errors import Rejected
from consent_core.formats.update import Received, Update
from consent_core.privacy.grid import GRID
from consent_core.privacy.weeks import WEEK_S, monday_of
from consent_core.trust.spiffe import SpiffeId
from control_plane.federated.rounds import LATE_S, Round

DAYS = 7
CROWD = 10  # times the plan: the most visitors that a week is sized for
SIGMAS = 8  # a norm beyond so many is no noise


def require_own(update: Update, caller: SpiffeId) -> None:
    """Raises: Rejected("update-foreign", 403): a place speaks for itself alone."""
    if (update.pop, update.spiffe_id) != (caller.name, str(caller)):
        raise Rejected("update-foreign", "manifest and certificate name different places", status=403)


def require_time(week: str, now: int) -> None:
    """Raises: Rejected("update-week" | "update-late"): a week is sent in the week after it."""
    if now < monday_of(week) + WEEK_S:
        raise Rejected("update-week", "the week is not over")
    if now >= monday_of(week) + WEEK_S + LATE_S:
        raise Rejected("update-late", "the week has been over for more than seven days")


def require_round(received: Received, found: Round | None) -> Round:
    """Everything that the policy of the week's Monday fixed. Returns the round."""
    update = received.update
    if found is None:
        raise Rejected("update-week", "no policy with learning was in force in that week")
    terms = found.terms
    if update.pop not in terms.plan:
        raise Rejected("update-foreign", "the plan of that week does not name this place", status=403)
    if update.models != terms.models:
        raise Rejected("update-category", "other models than those that may learn", status=403)
    if len(received.y) != terms.length:
        raise Rejected("update-shape", f"expected {terms.length} numbers")
    if dict(update.base) != dict(found.base):
        raise Rejected("update-base", "trained at another release than the week's")
    if update.mechanism != terms.mechanism_stated or update.policy != found.policy:
        raise Rejected("update-mechanism", "another mechanism or policy than the week's")
    if update.guarantee != terms.guarantee_stated:
        raise Rejected("budget-mismatch", "the promise is not the one that the noise keeps")
    return found


def require_norm(received: Received, found: Round) -> None:
    """Raises: Rejected("update-range") for a sum that ten times the planned visitors and their noise cannot make."""
    terms, y = found.terms, received.y.astype(float)
    crowd = CROWD * DAYS * terms.plan[received.update.pop]
    most = crowd * GRID + SIGMAS * math.sqrt(terms.mechanism.sigma2 * terms.length)
    if float(y @ y) > most**2:
        raise Rejected("update-range", "longer than any sum of that place with its noise")
