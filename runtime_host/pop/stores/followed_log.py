"""The log that this POP follows: how far it was applied, what it signed, and whether it may be believed.

    log.position.origin, log.position.position
    log.raise_alarm("log-fork", at)

Trust and rules: `docs/formats/revocation-log.md`.
"""

from dataclasses import dataclass

from consent_core.formats.revocation import GENESIS, Point
from runtime_host.pop.stores.database import Database

OWED = ""  # `delivered`: the next log is to get everything that is kept


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log was applied. `origin`: the log it is a position in, None before the first answer.

    `chain`: hash of the entry at `position`. `head`, `head_chain`: the highest that log ever signed, None where the
    hash is not known; `at`: its time then (Unix seconds); `shown`: that head as it was signed (`formats.log_head`).
    `due`, `due_chain`: of a head that was signed before and whose entries have not all come.
    `alarm`: the code of what this log said that cannot be; it stays until an operator or a succession ends it.
    """

    origin: str | None
    position: int
    head: int
    at: int
    chain: str = GENESIS
    head_chain: str | None = None
    due: int = 0
    due_chain: str | None = None
    shown: bytes | None = None
    alarm: str | None = None


class FollowedLog:
    """The `log` table, and its mirror `position`. The process that leads a POP follows the log, no other."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._position = self._read()

    @property
    def position(self) -> Position:
        """How far the log was applied."""
        return self._position

    def advance(self, origin: str, place: Point, head: Point, at: int, shown: bytes | None) -> None:
        """Note how far the log is applied, in the transaction that applies it. `shown`: the signed head, if it came."""
        self._db.run("UPDATE log SET origin=?, position=?, chain=?, at=?", (origin, place.number, place.chain, at))
        self._db.run("UPDATE log SET due=?, due_chain=? WHERE due<=position", (head.number, head.chain))
        self._db.run(
            "UPDATE log SET head=?1, head_chain=?2, shown=COALESCE(?3, shown) WHERE head<=?1",
            (head.number, head.chain, shown),
        )
        self._db.after_commit(self._mirror)

    def raise_alarm(self, code: str, at: int) -> None:
        """Believe this log no more, also after a restart. The first alarm stays."""
        with self._db.transaction():
            self._db.run("UPDATE log SET alarm=?, alarmed_at=? WHERE alarm IS NULL", (code, at))
            self._db.after_commit(self._mirror)

    def accept_origin(self) -> None:
        """Forget which log was followed and start again with the next answer's: an operator's decision.

        Needed when the control plane's store was lost or restored from a backup. Denials stay.
        """
        with self._db.transaction():
            self._db.run(
                "UPDATE log SET origin=NULL, position=0, head=0, at=0, chain=?, head_chain=NULL, due=0,"
                " due_chain=NULL, shown=NULL, alarm=NULL, alarmed_at=NULL, delivered=?",
                (GENESIS, OWED),
            )
            self._db.run("UPDATE demanded SET hash=NULL, seq=0")
            self._db.after_commit(self._mirror)

    def follow(self, origin: str, place: Point) -> None:
        """Read on in the log that takes this one's place, inside a transaction: the alarm has ended."""
        self._db.run(
            "UPDATE log SET origin=?1, position=?2, chain=?3, head=?2, head_chain=NULL, due=0, due_chain=NULL,"
            " shown=NULL, alarm=NULL, alarmed_at=NULL",
            (origin, place.number, place.chain),
        )
        self._db.run("UPDATE demanded SET seq=MIN(seq, ?)", (place.number,))
        self._db.after_commit(self._mirror)

    @property
    def delivered(self) -> str | None:
        """The log that was sent everything that is kept here."""
        row = self._db.row("SELECT delivered FROM log")
        return None if row is None else row[0]

    def note_delivered(self, origin: str) -> None:
        """That log has everything."""
        with self._db.transaction():
            self._db.run("UPDATE log SET delivered=?", (origin,))

    def read_position(self) -> Position:
        """The position as it is on the disk: `edge pop accept-log` is another process."""
        self._mirror()
        return self._position

    def _mirror(self) -> None:
        self._position = self._read()

    def _read(self) -> Position:
        row = self._db.row(
            "SELECT origin, position, head, at, chain, head_chain, due, due_chain, shown, alarm FROM log"
        )
        assert row is not None
        return Position(*row)
