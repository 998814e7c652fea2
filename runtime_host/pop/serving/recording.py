"""What a POP's audit record says of a request, beyond what every record says.

What names the visitor (`sub`, token id, version) goes under their own key; the rest names nobody.
"""

from consent_core.audit.recording import Note, Recorder, Scope
from consent_core.audit.writer import AuditWriter
from runtime_host.pop.serving.pipeline import Visit
from runtime_host.pop.serving.seams import Standing


class VisitRecorder(Recorder):
    """Records what a request's visit came to, as it was when the answer left."""

    def __init__(self, audit: AuditWriter, listener: str, standing: Standing) -> None:
        super().__init__(audit, listener)
        self._standing = standing

    def record(self, scope: Scope, note: Note, status: int) -> None:
        """Write the record of a request whose answer is about to leave. Raises: Unavailable("audit-unwritable")."""
        visit: Visit | None = note.visit
        if visit is None:
            super().record(scope, note, status)
        else:
            self._record(scope, note, status, visit)

    def _record(self, scope: Scope, note: Note, status: int, visit: Visit) -> None:
        offer = None if visit.place is None else visit.place.offer
        policy, known, code = self._standing.policy, visit.known, note.code or visit.code
        policy_hash = None if policy is None else policy.hash
        effective = visit.grant.categories
        kind = (
            scope["method"], note.route, status, code, note.more,
            offer, visit.category, effective, visit.shown, policy_hash,
        )  # fmt: skip
        fields = self._known.get(kind)
        if fields is None:
            decision = None if visit.shown is None else visit.shown.decision
            more = {
                **dict(zip(note.more[::2], note.more[1::2], strict=True)),
                "slot": None if offer is None else offer.name,
                "category": visit.category,
                "effective": effective,
                "asset": None if decision is None else decision.asset,
                "policy": policy_hash,
            }
            fields = self._learn(kind, scope, note.route, status, code, more)
        self._append(fields, known.person if known is not None and note.person is None else note.person)
