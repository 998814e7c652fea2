"""The control plane's own audit trail: a record per request of either listener, refusals included.

Reports of POPs carry the heads of their trails; recorded here, they show later what a POP's trail must contain.
"""

from dataclasses import dataclass

from consent_core.audit.recording import AuditContext, AuditMiddleware, AuditRecorder
from consent_core.audit.verify import is_trail_of
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.formats.revocation import subject_of
from consent_core.http.asgi import App, Scope
from consent_core.trust.providers.selection import open_provider
from control_plane.log.log import RevocationLog
from control_plane.settings import Settings

WRITER = "control-plane"


def writer_of(number: int) -> str:
    """The trail of the control plane of this number: `control-plane`, `control-plane.w2`, …"""
    return WRITER if number == 1 else f"{WRITER}.w{number}"


def writers_of(settings: Settings) -> frozenset[str]:
    """Every control plane that has a trail in this data directory, and this one."""
    found = (path.name for path in (settings.data / "audit" / "edge").glob(f"{WRITER}*/"))
    return frozenset(
        (writer_of(settings.number), *(name for name in found if name == WRITER or is_trail_of(name, WRITER)))
    )


def open_audit(settings: Settings) -> AuditWriter:
    """The trail. Raises: Unavailable: a control plane that cannot record does not start."""
    provider = open_provider(settings.key_provider, settings.data, settings.key_provider_token)
    writer, limits = writer_of(settings.number), AuditLimits(keep_days=settings.audit_keep_days)
    return AuditWriter.open(settings.data / "audit" / "edge" / writer, writer, provider, settings.clock, limits)


def audited(app: App, audit: AuditWriter, listener: str) -> App:
    """`app` with a record per request."""
    return AuditMiddleware(app, AuditRecorder(audit, listener, _complete))


@dataclass
class Shredding:
    """Makes visitors whom the log purged unreadable in the trail. `_seq`: the last purge that was looked at."""

    log: RevocationLog
    audit: AuditWriter
    _seq: int = 0

    def __call__(self) -> None:
        """Shred every visitor purged since the last time; at the first time, all of them again."""
        for seq, subject in self.log.purged(self._seq):
            self.audit.shred(subject)
            self._seq = seq


def _complete(context: AuditContext, scope: Scope) -> None:
    """The route's pattern; a path may hold a visitor's id, which goes under that visitor's key."""
    context.route = getattr(scope.get("route"), "path", None)
    sub = scope.get("path_params", {}).get("sub", "-")
    if sub != "-" and context.person is None:
        context.about(subject_of(sub), (("sub", sub),))
