"""What a POP's audit record says of a request, beyond what every record says.

What names the visitor (`sub`, token id, version) goes under their own key; the rest names nobody.
"""

from collections.abc import Callable

from consent_core.audit.recording import Complete, Note, Scope
from runtime_host.pop.serving.pipeline import Visit


def describe_visits(policy_hash: Callable[[], str | None]) -> Complete:
    """Completes a note from the visit that its request led to, as it was when the answer left."""

    def complete(note: Note, _: Scope) -> None:
        visit: Visit | None = note.visit
        if visit is not None:
            slot = None if visit.place is None else visit.place.slot.name
            shown = visit.shown
            asset = None if shown is None or shown.decision is None else shown.decision.asset
            effective = visit.grant.categories
            note.more += (
                "slot", slot, "category", visit.category, "effective", effective, "asset", asset,
                "policy", policy_hash(),
            )  # fmt: skip
            note.code = note.code or visit.code
            if visit.known is not None and not note.person:
                note.about(visit.known.subject, visit.known.person)

    return complete
