"""How much is left before a process is ill: room on its disk, life of its certificate. Alerts warn on these.

watch_room(metrics, home, svid, clock)
"""

import math
from pathlib import Path

from consent_core.clock import Clock
from consent_core.health.disk import free_bytes
from consent_core.telemetry.metrics import Metrics
from consent_core.trust.svid import lifetime
from consent_core.trust.svid_source import SvidSource


def watch_room(metrics: Metrics, home: Path, source: SvidSource | None, clock: Clock) -> None:
    """Show both at each scrape. `source`: None without mutual TLS, which has no certificate to run out."""
    metrics.watch("consent_edge_disk_free_bytes", lambda: _free(home), whole=min)
    if source is not None:
        metrics.watch("consent_edge_certificate_left_seconds", lambda: certificate_left_s(source, clock), whole=min)


def certificate_left_s(source: SvidSource, clock: Clock) -> float:
    """Seconds until this process's own SVID runs out; below 0 once it has."""
    return float(lifetime(source.current().leaf)[1] - clock.now())


def _free(home: Path) -> float:
    """Not a number where the folder is not there."""
    try:
        return float(free_bytes(home))
    except OSError:
        return math.nan
