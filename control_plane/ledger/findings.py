"""What an operator must look at in the ledger: a database that was set back, a ledger that disagrees with its files."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from control_plane.ledger.schema import findings
from control_plane.ledger.writing import writing
from control_plane.store.database import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an operator must look at. `at`: Unix seconds when it was first seen."""

    code: str
    detail: str
    at: int


class Findings:
    """The findings of one ledger. None is ever deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, code: str, detail: str, at: int) -> None:
        """Keep a finding; the same one again changes nothing."""
        with writing(self._database) as connection:
            same = select(findings.c.id).where(findings.c.code == code, findings.c.detail == detail)
            if connection.scalar(same) is None:
                connection.execute(insert(findings).values(code=code, detail=detail, at=at))

    def all(self) -> list[Finding]:
        """All of them, oldest first."""
        asked = select(findings.c.code, findings.c.detail, findings.c.at).order_by(findings.c.id)
        with self._database.read() as connection:
            return [Finding(*row) for row in connection.execute(asked)]
