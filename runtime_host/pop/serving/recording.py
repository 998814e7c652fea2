"""What a POP's audit record says of a request, beyond what every record says.

What names the visitor (`sub`, token id, version) goes under their own key; the rest names nobody.
"""

from consent_core.audit.recording import Complete, Note, Scope
from runtime_host.pop.serving.pipeline import Visit
from runtime_host.pop.serving.seams import Standing


def describe_visits(standing: Standing) -> Complete:
    """Completes a note from the visit that its request led to, as it was when the answer left."""

    def complete(note: Note, _: Scope) -> None:
        visit: Visit | None = note.visit
        if visit is None:
            return
        place, shown, known, policy = visit.place, visit.shown, visit.known, standing.policy
        note.more += (
            "slot", None if place is None else place.offer.name,
            "category", visit.category,
            "effective", visit.grant.categories,
            "asset", None if shown is None or shown.decision is None else shown.decision.asset,
            "policy", None if policy is None else policy.hash,
        )  # fmt: skip
        if note.code is None:
            note.code = visit.code
        if known is not None and note.person is None:
            note.person = known.person

    return complete
