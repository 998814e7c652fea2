"""What a POP's audit record says of a request, beyond what every record says.

What names the visitor (`sub`, token id, version) goes under their own key; the rest names no person.
"""

from consent_core.audit.recording import AuditContext, AuditRecorder, Kind
from consent_core.http.asgi import Scope
from runtime_host.pop.serving.pipeline import DEFAULT, Visit


class VisitAuditRecorder(AuditRecorder):
    """Records what a request's visit came to, as it was when the answer left."""

    def record(self, scope: Scope, context: AuditContext, status: int) -> None:
        """Write the record of a request whose answer is about to leave. Raises: Unavailable("audit-unwritable")."""
        visit: Visit | None = context.visit
        if visit is None:
            return super().record(scope, context, status)
        place, grant, known = visit.place, visit.grant, visit.known
        kind = (
            context.route, visit.shown, None if place is None else place.offer, grant.categories,
            grant.policy, status, context.code or visit.code, scope["method"], context.more,
        )  # fmt: skip
        fields = self._known.get(kind) or self._describe(kind, scope, context, status)
        self._append(fields, known.person if known is not None and context.person is None else context.person)
        return None

    def _describe(self, kind: Kind, scope: Scope, context: AuditContext, status: int) -> bytes:
        _, shown, offer, effective, policy, _, code, *_ = kind
        more = {
            "slot": None if offer is None else offer.name,
            "category": DEFAULT if shown is None else shown.category,
            "effective": effective,
            "asset": None if shown is None or shown.decision is None else shown.decision.asset,
            "policy": policy,
            **dict(zip(context.more[::2], context.more[1::2], strict=True)),
        }
        return self._learn(kind, scope, context.route, status, code, more)
