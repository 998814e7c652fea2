"""Whether a process can still show itself on the mesh."""

from consent_core.clock import Clock
from consent_core.health.watching import Faults, Look
from consent_core.trust.svid import lifetime
from consent_core.trust.svid_source import SvidSource


def certificate_look(source: SvidSource, clock: Clock) -> Look:
    """`certificate-expired` once this process's own SVID ran out: no peer accepts it any more."""

    def look() -> Faults:
        over = clock.now() - lifetime(source.current().leaf)[1]
        return {"certificate-expired": f"{over} s ago"} if over >= 0 else {}

    return look
