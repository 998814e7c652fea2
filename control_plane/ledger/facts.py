"""The bodies of facts about workloads, by their commitments: what opens their leaves."""

from dataclasses import dataclass

from sqlalchemy import select

from control_plane.ledger.schema import bodies, entries
from control_plane.store.database import Database

_FACTS = select(bodies.c.key, bodies.c.kind, bodies.c.n, bodies.c.body, bodies.c.salt)


@dataclass(frozen=True, slots=True)
class Fact:
    """The body of a fact, by its commitment. `salt`: None where the body is public."""

    key: bytes
    kind: str
    n: int | None
    body: bytes
    salt: bytes | None


class Facts:
    """Reads them; `LedgerStore.put` keeps them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def body(self, kind: str, n: int | None) -> bytes | None:
        """The body of a public numbered fact: an `attesters` list."""
        with self._database.read() as connection:
            return connection.scalar(select(bodies.c.body).where(bodies.c.kind == kind, bodies.c.n == n))

    def between(self, low: int, high: int) -> list[Fact]:
        """The bodies of the facts at places `low` until before `high`."""
        asked = _FACTS.join(entries, entries.c.key == bodies.c.key)
        with self._database.read() as connection:
            rows = connection.execute(asked.where(entries.c.idx >= low, entries.c.idx < high))
            return [Fact(*row) for row in rows]

    def of(self, kind: str) -> list[Fact]:
        """The bodies of all facts of a kind."""
        with self._database.read() as connection:
            return [Fact(*row) for row in connection.execute(_FACTS.where(bodies.c.kind == kind))]
