"""Runs a witness until SIGINT or SIGTERM.

run(WitnessSettings(directory=Path(".edge/witnesses/w1"), name="w1", trust=Path("trust.json"), port=7501))
"""

import asyncio
import contextlib
import logging
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from consent_core.clock import Clock, SystemClock
from consent_core.http.bounded import BoundedProtocol
from consent_core.http.listeners import Server
from consent_core.trust.trust_file import TrustFile
from witness.judge import Logs
from witness.keys import WitnessKey
from witness.server import WitnessServer
from witness.store import HeadStore

HEADS = "heads.db"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """One witness: its own directory (key, heads), its name, the trust file that names the ledger's key."""

    directory: Path
    name: str
    trust: Path
    host: str = "127.0.0.1"
    port: int = 7500
    grace_s: int = 3  # open requests may end after a stop is asked for
    clock: Clock = field(default_factory=SystemClock)


class KnownLogs:
    """The ledger that the trust file names, read again when the file changes: a following key is seen at once."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._stamp: tuple[int, ...] | None = None
        self._trust: TrustFile | None = None

    def __call__(self) -> Logs:
        """The ledger's keys that are valid now and not revoked.

        Raises: Unavailable("trust-file-missing"), Untrusted("trust-file"): nothing is signed by a file half read.
        """
        stamp = _stamp(self._path)
        if self._trust is None or stamp is None or stamp != self._stamp:
            self._trust, self._stamp = TrustFile.load(self._path), stamp
        valid = self._trust.keys("ledger", self._clock.now())
        return {self._trust.ledger_origin: [key for key in valid if key.kid not in self._trust.revoked]}


def _stamp(path: Path) -> tuple[int, ...] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return (status.st_ino, status.st_mtime_ns, status.st_size)
    return None


def open_witness(settings: WitnessSettings) -> WitnessServer:
    """A witness over its directory; its key is made at the first start.

    Raises: Unavailable("keys-missing" | "store-unavailable" | "trust-file-missing"), Untrusted.
    """
    key = WitnessKey.open(settings.directory, settings.name, create=True)
    logs = KnownLogs(settings.trust, settings.clock)
    logs()
    return WitnessServer(key, HeadStore(settings.directory / HEADS), logs, settings.clock)


def run(settings: WitnessSettings) -> None:
    """Serve until SIGINT or SIGTERM. Raises: OSError for a port that is taken; as `open_witness`."""
    asyncio.run(_serve(settings))


async def _serve(settings: WitnessSettings) -> None:
    witness = open_witness(settings)
    config = uvicorn.Config(
        witness.application(), log_config=None, access_log=False, server_header=False, lifespan="off",
        http=BoundedProtocol, ws="none",
        timeout_graceful_shutdown=settings.grace_s,
    )  # fmt: skip
    server = Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    with socket.create_server((settings.host, settings.port)) as sock:
        _LOG.info("witness %s on port %d", settings.name, settings.port)
        await server.serve([sock])
    witness.store.close()
