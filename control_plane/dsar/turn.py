"""Of several control planes over one database, one at a time carries requests on; when it dies, another does.

    turn = Turn(database)
    if turn.is_mine(): machine.look()

The turn is a PostgreSQL advisory lock of a connection of its own: it ends with the process, however that dies. SQLite
has one control plane, whose turn it always is.
"""

from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from control_plane.store.database import Database

TURN_LOCK = 0x0D5_A412


class Turn:
    """`_held`: the connection that has the lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: Connection | None = None

    def is_mine(self) -> bool:
        """Whether this process carries requests now. While the store does not answer no process does."""
        if self._database.is_sqlite:
            return True
        try:
            return self._still() if self._held is not None else self._take()
        except DBAPIError:
            self.close()
            return False

    def close(self) -> None:
        """Let another one have it."""
        if self._held is None:
            return
        held, self._held = self._held, None
        with suppress(SQLAlchemyError):  # a connection that died has no lock any more
            held.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": TURN_LOCK})
        held.close()

    def _still(self) -> bool:
        assert self._held is not None
        self._held.execute(text("SELECT 1"))
        return True

    def _take(self) -> bool:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        mine = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": TURN_LOCK}))
        if mine:
            self._held = connection
        else:
            connection.close()
        return mine
