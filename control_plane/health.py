"""What can be wrong with a control plane. `runtime_host.pop.health` is the same for a POP."""

from collections.abc import Iterator

from consent_core.audit.writer import AuditWriter
from consent_core.errors import ConsentEdgeError
from consent_core.health.certificates import certificate_look
from consent_core.health.disk import disk_faults
from consent_core.health.watching import Faults, Health, Look
from consent_core.trust.svid_source import SvidSource
from control_plane.app import ControlPlane

UNWITNESSED_S = 300  # as long as a witness may be restarted


def health_of(plane: ControlPlane, audit: AuditWriter | None = None, source: SvidSource | None = None) -> Health:
    """The looks of one control plane. `source`: None without mutual TLS."""
    return Health(plane.settings.name, _looks(plane, audit, source))


def _looks(plane: ControlPlane, audit: AuditWriter | None, source: SvidSource | None) -> Iterator[Look]:
    folders = [plane.settings.home] if audit is None else [plane.settings.home, audit.directory]
    yield lambda: disk_faults(folders)
    yield lambda: store_faults(plane)
    yield lambda: ledger_faults(plane)
    if audit is not None:
        yield audit.faults
    if source is not None:
        yield certificate_look(source, plane.settings.clock)


def store_faults(plane: ControlPlane) -> Faults:
    """`store-away` while the database does not answer."""
    try:
        plane.log.head()
    except ConsentEdgeError as error:
        return {"store-away": error.message}
    return {}


def ledger_faults(plane: ControlPlane) -> Faults:
    """What keeps leaves out of the ledger, or checkpoints from being published."""
    progress, now = plane.ledger.sequencer.progress, plane.settings.clock.now()
    found = {} if progress.closed is None else {"ledger-closed": progress.closed}
    since = progress.unwitnessed_since
    if since is not None and now - since > UNWITNESSED_S:
        found["ledger-unwitnessed"] = f"for {now - since} s"
    return found
