"""Where a process gets its own SVID from, and how it gets the next one at half the lifetime of the last.

    source = open_source(data, spiffe_id, endpoint_socket=os.environ.get("SPIFFE_ENDPOINT_SOCKET"))
    rotation = asyncio.create_task(rotate_forever(source, clock))

Three sources behind one protocol: the development CA of the data directory, files that somebody else renews, and
SPIRE through the Workload API (`workload_api.py`). TLS contexts (`tls.py`) ask `current()` at each handshake, so a
rotation needs no restart and no open connection is cut.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from consent_core.clock import Clock, SystemClock
from consent_core.errors import ConsentEdgeError
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import TTL_S, DevelopmentCa, Svid

logger = logging.getLogger(__name__)

CHECK_S = 60.0  # longest time between two looks at the clock
RETRY_S = 1.0  # shortest


class SvidSource(Protocol):
    """This process's own identity, always the newest."""

    def current(self) -> Svid:
        """The SVID for the next handshake. Raises: Unavailable if there has never been one."""
        ...

    def refresh(self) -> None:
        """Get the next SVID if it is time. Raises: ConsentEdgeError; the last one stays in force."""
        ...


class DevelopmentSource:
    """SVIDs from the development CA of this machine, also written to `svid/<role>-<name>/` for other tools."""

    def __init__(self, ca: DevelopmentCa, spiffe_id: SpiffeId, directory: Path, ttl_s: int, clock: Clock) -> None:
        self._ca, self._spiffe_id, self._directory, self._ttl_s, self._clock = ca, spiffe_id, directory, ttl_s, clock
        self._svid = self._issue()

    def current(self) -> Svid:
        """The newest SVID."""
        return self._svid

    def refresh(self) -> None:
        """Issue the next one after half the lifetime."""
        if self._clock.now() >= self._svid.half_life:
            self._svid = self._issue()

    def _issue(self) -> Svid:
        svid = self._ca.issue(self._spiffe_id, self._ttl_s)
        svid.write(self._directory)
        return svid


class FileSource:
    """SVIDs that somebody else writes into a directory as `Svid.write` does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._svid = Svid.read(directory)

    def current(self) -> Svid:
        """The newest SVID read."""
        return self._svid

    def refresh(self) -> None:
        """Read the files again; half-written or damaged ones leave the last good SVID in force."""
        self._svid = Svid.read(self._directory)


def open_source(
    data: Path,
    spiffe_id: SpiffeId,
    *,
    endpoint_socket: str | None = None,
    ttl_s: int = TTL_S,
    clock: Clock | None = None,
) -> SvidSource:
    """The right source for this machine: SPIRE if its socket is named, else the development CA, else files."""
    clock = clock or SystemClock()
    if endpoint_socket:
        from consent_core.trust.workload_api import WorkloadApiSource  # gRPC costs a POP without SPIRE 20 MB

        return WorkloadApiSource(endpoint_socket, spiffe_id.trust_domain, clock)
    directory = data / "svid" / f"{spiffe_id.role}-{spiffe_id.name}"
    if (data / "ca" / "key.pem").exists():
        ca = DevelopmentCa.open(data, spiffe_id.trust_domain, clock=clock)
        return DevelopmentSource(ca, spiffe_id, directory, ttl_s, clock)
    return FileSource(directory)


async def rotate_forever(
    source: SvidSource, clock: Clock, failed: Callable[[ConsentEdgeError], None] = lambda _: None
) -> None:
    """Ask for the next SVID at half the lifetime of the current one, for ever. `failed` counts what goes wrong."""
    while True:
        await asyncio.sleep(min(CHECK_S, max(RETRY_S, source.current().half_life - clock.now())))
        try:
            source.refresh()
        except ConsentEdgeError as error:
            logger.warning("SVID rotation: %s", error)
            failed(error)
