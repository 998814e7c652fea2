"""What a witness has seen: one head per log, and what it refused to sign, as evidence. One SQLite file, `heads.db`.

Trust in this store: *trusted by every reader of the ledger*. A head that is set back lets this witness cosign a fork;
it is never restored from a backup. Evidence is only added, at most `MAX_EVIDENCE` notes of a log.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from consent_core.crash import crash_point
from consent_core.errors import Unavailable
from witness.judge import Cosign, Head, Refuse

MAX_EVIDENCE = 100  # of one log: enough to show it, too little to fill a disk with
BUSY_MS = 5_000
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS heads(
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS evidence(
  id INTEGER PRIMARY KEY, origin TEXT NOT NULL, code TEXT NOT NULL, head BLOB NOT NULL, note BLOB NOT NULL,
  at INTEGER NOT NULL, UNIQUE(origin, code, note)) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A note that this witness refused, beside the one it had cosigned before. `at`: Unix seconds."""

    code: str
    head: bytes
    note: bytes
    at: int


class HeadStore:
    """Heads of one witness. `_lock` is held by the one request that is judged: check and commit are one step."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # what is wrong with the place, connecting says
            path.touch(mode=0o600)
        self._lock = threading.Lock()
        with _as_unavailable():
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_TABLES)
            self._require_version()

    def head(self, origin: str) -> Head:
        """The newest checkpoint of a log that was cosigned."""
        with self._lock, _as_unavailable():
            return self._head(origin)

    def decide(self, origin: str, judge: Callable[[Head], Cosign | Refuse], at: int) -> Cosign | Refuse:
        """Judge against the head and write down what follows; on the disk when this returns.

        Raises: Unavailable("store-unavailable"): nothing may be signed then.
        """
        with self._lock, _as_unavailable(), self._writing():
            head = self._head(origin)
            verdict = judge(head)
            if isinstance(verdict, Cosign) and verdict.checkpoint.size > head.size:
                self._remember(verdict, at)
            if isinstance(verdict, Refuse) and verdict.evidence is not None:
                self._keep(origin, verdict.code, verdict.evidence, at)
            crash_point("witness-before-commit")
        crash_point("witness-committed")
        return verdict

    def evidence(self, origin: str) -> list[Evidence]:
        """What was refused, oldest first."""
        asked = "SELECT code, head, note, at FROM evidence WHERE origin = ? ORDER BY id"
        with self._lock, _as_unavailable():
            return [Evidence(*row) for row in self._connection.execute(asked, (origin,))]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _head(self, origin: str) -> Head:
        row = self._connection.execute("SELECT size, root FROM heads WHERE origin = ?", (origin,)).fetchone()
        return Head() if row is None else Head(*row)

    def _remember(self, verdict: Cosign, at: int) -> None:
        new = verdict.checkpoint
        self._connection.execute(
            "INSERT INTO heads VALUES(?, ?, ?, ?, ?) ON CONFLICT(origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, note = excluded.note, at = excluded.at",
            (new.origin, new.size, new.root, verdict.note, at),
        )

    def _keep(self, origin: str, code: str, note: bytes, at: int) -> None:
        kept = self._connection.execute("SELECT count(*) FROM evidence WHERE origin = ?", (origin,)).fetchone()[0]
        if kept < MAX_EVIDENCE:
            before = self._connection.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchone()
            self._connection.execute(
                "INSERT OR IGNORE INTO evidence(origin, code, head, note, at) VALUES(?, ?, ?, ?, ?)",
                (origin, code, b"" if before is None else before[0], note, at),
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _require_version(self) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise Unavailable("store-unavailable", f"heads.db has version {found}, this program {VERSION}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable("store-unavailable", f"heads.db: {error}") from error
