"""The ledger of one control plane: opened beside the consent database, and run from one thread.

    ledger = Ledger.open(settings, database, keys)
    ledger.entries.receipts(connection, [(jws, subject)])
    while True: ledger.tick()          # copies, and when it is time, a beat

One process of a data directory sequences (it holds a lock on a file); the others serve what is published.
"""

import fcntl
import logging
import random
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError
from consent_core.formats.seen import NONE, Seen
from consent_core.trust.keys import KeyStore
from control_plane.ledger.archive import archive_published, open_archive
from control_plane.ledger.copying import Copying
from control_plane.ledger.entries import Entries, Proofs
from control_plane.ledger.sequencer import MOST, Parts, Sequencer
from control_plane.ledger.store import LedgerStore
from control_plane.ledger.tiles import TileDirectory
from control_plane.ledger.witnessing import WitnessAddress, Witnessing
from control_plane.store.database import Database

LOCK = "sequencer.lock"
PUBLIC = "public"
CLOSE_WAIT_S = 5.0  # for a beat that waits for a witness; what it does later, recovery does again
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """One ledger. Times are seconds. url: of its database; None: SQLite in `directory`. archive: a
    second place for what is published.
    """

    directory: Path
    url: str | None = None
    witnesses: tuple[WitnessAddress, ...] = ()
    archive: str | None = None
    beat_s: float = 30.0
    copy_s: float = 0.5  # between two looks into the outbox: durable in the ledger within a second

    @property
    def store_url(self) -> str:
        """The database, as SQLAlchemy names it."""
        return self.url or f"sqlite:///{self.directory / 'ledger.db'}"


class Ledger:
    """failed: the code of what ended the last tick early; None if nothing did.

    `_beat_at`: when the last beat began, by the clock's elapsed seconds; `_lock`: held while this one sequences;

    `_busy`: by the one tick.
    """

    def __init__(self, settings: LedgerSettings, parts: Parts, database: Database, proofs: Proofs) -> None:
        self.settings = settings
        self.store = parts.store
        self.public = parts.public
        self.entries = Entries(self.seen, proofs)
        self.sequencer = Sequencer(parts)
        self._copying = Copying(database, parts.store, parts.clock)
        self.archive = None if settings.archive is None else open_archive(settings.archive)
        self._clock = parts.clock
        self._seen = self._newest()
        self._beat_at: float | None = None
        self._recovered = False
        self._lock: BinaryIO | None = None
        self.failed: str | None = None
        self._busy = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, settings: LedgerSettings, database: Database, keys: KeyStore, clock: Clock, proofs: Proofs) -> Self:
        """A ledger beside a consent database. Raises: Unavailable("store-unavailable")."""
        settings.directory.mkdir(parents=True, exist_ok=True)
        parts = Parts(
            LedgerStore.open(settings.store_url),
            TileDirectory(settings.directory / PUBLIC),
            Witnessing(settings.witnesses, keys.trust_file),
            keys,
            clock,
            random.SystemRandom(),
        )
        return cls(settings, parts, database, proofs)

    def seen(self) -> Seen:
        """The last cosigned checkpoint, as bodies name it."""
        return self._seen

    def tick(self) -> None:
        """Copy what is new; a beat if one is due or enough leaves wait. A failure is logged, the next tick goes on."""
        with self._busy:
            try:
                if not self._closed and self._holds_lock():
                    self._copying.new()
                    if self._due():
                        self.beat()
                    self.failed = None
            except ConsentEdgeError as error:
                self.failed = error.code
                _LOG.warning("ledger: %s: %s", error.code, error)
            except Exception:  # a beat that cannot be made must not be the last one that was tried
                self.failed = "internal"
                _LOG.exception("ledger: an unforeseen failure")

    def beat(self) -> None:
        """One whole beat, now."""
        self._beat_at = self._clock.elapsed()
        if not self._recovered:
            self.sequencer.recover()
            self._recovered = True
        self._copying.all()
        self.sequencer.beat()
        self._seen = self._newest()
        self._copying.forget(self._seen.size)
        if self.archive is not None:
            archive_published(self.public, self.archive, self.store)

    def close(self) -> None:
        """Let another process sequence, and close the database."""
        waited = self._busy.acquire(timeout=CLOSE_WAIT_S)
        self._closed = True
        if self._lock is not None:
            self._lock.close()
        self.store.close()
        if waited:
            self._busy.release()

    def _due(self) -> bool:
        begun = self._beat_at
        if begun is None or self._clock.elapsed() - begun >= self.settings.beat_s:
            return True
        progress = self.sequencer.progress
        if progress.closed is not None or progress.unwitnessed_since is not None:
            return False  # asking the witnesses more often would not help
        return self.store.count_waiting() >= MOST

    def _holds_lock(self) -> bool:
        if self._lock is None:
            file = (self.settings.directory / LOCK).open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            self._lock = file
        return True

    def _newest(self) -> Seen:
        with suppress(ConsentEdgeError):  # a damaged file is replaced by the next beat
            published = self.public.published()
            if published is not None:
                return Seen(published.size, published.root)
        return NONE
