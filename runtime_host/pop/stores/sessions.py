"""Which visitor a session cookie belongs to, so that a "no" works while the control plane is away.

Holds SHA-256 of the cookie's secret and SHA-256 of the visitor's pseudonym, neither of which leads back.
"""

from dataclasses import dataclass

from consent_core.clock import Clock
from runtime_host.pop.stores.database import Database

RESERVED_S = 600  # an answer that has not come by then is not coming


@dataclass(frozen=True, slots=True)
class Session:
    """`session`: hex SHA-256 of the secret. `ver`: the highest this POP has seen. `expires_at`: Unix seconds."""

    session: str
    subject: str
    ver: int
    expires_at: int


class Sessions:
    """The `sessions` table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def remember(self, session: Session, replaces: str | None = None) -> None:
        """Keep a session, unless its visitor was erased; `replaces` is the hash it was rotated from.

        A `ver` never goes down.
        """
        with self._db.transaction(durable=False):
            if self._db.row("SELECT 1 FROM tombstones WHERE subject=?", (session.subject,)):
                return
            self._db.run(
                "INSERT INTO sessions VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET subject=excluded.subject,"
                " ver=MAX(ver, excluded.ver), expires_at=excluded.expires_at",
                (session.session, session.subject, session.ver, session.expires_at),
            )
            if replaces is not None and replaces != session.session:
                self._db.run("DELETE FROM sessions WHERE session=?", (replaces,))

    def find(self, session: str) -> Session | None:
        """The visitor of a cookie, if this POP knows it and it has not run out."""
        row = self._db.row(
            "SELECT session, subject, ver, expires_at FROM sessions WHERE session=? AND expires_at>? AND subject<>''",
            (session, self._clock.now()),
        )
        return None if row is None else Session(*row)

    def reserve(self, session: str) -> None:
        """Write down a session that may come to be, so that a disk that refuses says so before anybody is asked.

        Raises: Unavailable("store-io").
        """
        with self._db.transaction(durable=False):
            self._db.run("INSERT OR IGNORE INTO sessions VALUES (?,'',0,?)", (session, self._clock.now() + RESERVED_S))

    def raise_version(self, subject: str, ver: int) -> None:
        """Note that the visitor's record is at least at `ver`."""
        self._db.run("UPDATE sessions SET ver=MAX(ver, ?) WHERE subject=?", (ver, subject))

    def delete_all(self, subject: str) -> int:
        """Drop every session of a visitor."""
        return self._db.run("DELETE FROM sessions WHERE subject=?", (subject,))

    def sweep(self) -> int:
        """Delete what ran out."""
        with self._db.transaction(durable=False):
            return self._db.run("DELETE FROM sessions WHERE expires_at<=?", (self._clock.now(),))
