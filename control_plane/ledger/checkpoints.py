"""The cosigned checkpoints of the ledger, one a size, kept for good: proofs are made to one of them."""

from sqlalchemy import insert, select

from control_plane.ledger.schema import checkpoints
from control_plane.ledger.writing import writing
from control_plane.store.database import Database


class Checkpoints:
    """The kept notes of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, size: int, note: bytes) -> None:
        """Keep a cosigned note for good; the first one of a size stays."""
        with writing(self._database) as connection:
            if connection.scalar(select(checkpoints.c.size).where(checkpoints.c.size == size)) is None:
                connection.execute(insert(checkpoints).values(size=size, note=note))

    def above(self, index: int) -> tuple[int, bytes] | None:
        """The first one that holds the leaf at a place; None if there is none yet."""
        asked = select(checkpoints.c.size, checkpoints.c.note).where(checkpoints.c.size > index)
        with self._database.read() as connection:
            row = connection.execute(asked.order_by(checkpoints.c.size).limit(1)).one_or_none()
        return None if row is None else (row.size, row.note)

    def of(self, size: int) -> bytes | None:
        """The one of exactly this size."""
        with self._database.read() as connection:
            return connection.scalar(select(checkpoints.c.note).where(checkpoints.c.size == size))
