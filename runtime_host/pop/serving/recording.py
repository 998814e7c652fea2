"""What a POP's audit record says of a request, beyond what every record says.

What names the visitor (`sub`, token id, version) goes under their own key; the rest names nobody.
"""

from collections.abc import Callable

from consent_core.audit.recording import Complete, Note, Scope
from runtime_host.pop.serving.pipeline import Visit


def describe_visits(policy_hash: Callable[[], str | None]) -> Complete:
    """Completes a note from the visit that its request led to, as it was when the answer left."""

    def complete(note: Note, _: Scope) -> None:
        visit = note.visit
        if isinstance(visit, Visit):
            _describe(note, visit)
            note.fields["policy"] = policy_hash()

    return complete


def _describe(note: Note, visit: Visit) -> None:
    fields, known, shown = note.fields, visit.known, visit.shown
    fields["category"] = visit.category
    fields["effective"] = visit.grant.categories
    if visit.place is not None:
        fields["slot"] = visit.place.slot.name
    if shown is not None and shown.decision is not None:
        fields["asset"] = shown.decision.asset
    if known is not None and note.person is None:
        claims = known.claims
        note.about(known.subject, {"sub": claims.sub, "jti": claims.jti, "ver": claims.ver})
