"""What is said of workloads: bodies and salts of the ledger's facts, so that a pack can open their leaves.

    fact = facts.put(connection, Fact.of("endorsement", "attester-92c4…", body, by="edge/tokyo-1"))
    facts.one(connection, "attestation", "edge/tokyo-1/1/812")

In the transaction that causes it, with the leaf's row of the outbox. `name` is what a fact of its kind is found by.
Put twice, it counts once; another body under the same name is a conflict.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, Row, insert, select

from consent_core.errors import Untrusted
from consent_core.formats.leaf import SALT_BYTES, commit, fact_leaf, public_commitment
from control_plane.store.schema import facts as table
from control_plane.store.schema import ledger_outbox

PUBLIC = "attesters"  # its body is public, so its commitment has no salt


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: `place`, `life` and `n` as its leaf has them. `salt` is empty for a public body."""

    kind: str
    name: str
    body: bytes
    salt: bytes
    place: str | None = None
    life: int | None = None
    n: int | None = None

    @classmethod
    def of(
        cls, kind: str, name: str, body: bytes, place: str | None = None, life: int | None = None, n: int | None = None
    ) -> Self:
        """A fact with a salt of its own."""
        return cls(kind, name, body, b"" if kind == PUBLIC else secrets.token_bytes(SALT_BYTES), place, life, n)

    @property
    def commitment(self) -> bytes:
        """What the leaf says of the body."""
        return commit(self.body, self.salt) if self.salt else public_commitment(self.body)

    @property
    def leaf(self) -> bytes:
        """The leaf."""
        return fact_leaf(self.kind, self.commitment, by=self.place, life=self.life, n=self.n)


def put(connection: Connection, fact: Fact, at: int) -> Fact:
    """Keep a fact and send its leaf to the ledger; the one that was there already, if it says the same.

    Raises: Untrusted("ledger-conflict").
    """
    known = one(connection, fact.kind, fact.name)
    if known is not None:
        if known.body != fact.body:
            raise Untrusted("ledger-conflict", f"another {fact.kind} has the name {fact.name}")
        return known
    place = {"place": fact.place, "life": fact.life, "n": fact.n}
    row = {"kind": fact.kind, "name": fact.name, "body": fact.body, "salt": fact.salt, **place, "at": at}
    connection.execute(insert(table).values(row))
    salt = fact.salt or None
    connection.execute(insert(ledger_outbox).values(leaf=fact.leaf, body=fact.body, salt=salt))
    return fact


def one(connection: Connection, kind: str, name: str) -> Fact | None:
    """The fact of that name."""
    found = connection.execute(select(table).where(table.c.kind == kind, table.c.name == name)).one_or_none()
    return None if found is None else _fact(found)


def newest(connection: Connection, kind: str, place: str | None = None) -> Fact | None:
    """The one put last, of one place or of all."""
    asked = select(table).where(table.c.kind == kind).order_by(table.c.life.desc(), table.c.n.desc(), table.c.id.desc())
    if place is not None:
        asked = asked.where(table.c.place == place)
    found = connection.execute(asked.limit(1)).one_or_none()
    return None if found is None else _fact(found)


def all_of(connection: Connection, kind: str, since: int = 0) -> Sequence[Fact]:
    """Every fact of a kind, in the order in which they were put; `since`: Unix seconds."""
    asked = select(table).where(table.c.kind == kind, table.c.at >= since).order_by(table.c.id)
    return [_fact(row) for row in connection.execute(asked)]


def chain(connection: Connection, place: str, since: int = 0) -> Sequence[Fact]:
    """A place's attestations by life and number, those put since a Unix time."""
    of_place = (table.c.kind == "attestation") & (table.c.place == place) & (table.c.at >= since)
    asked = select(table).where(of_place).order_by(table.c.life, table.c.n)
    return [_fact(row) for row in connection.execute(asked)]


def _fact(row: Row[tuple[object, ...]]) -> Fact:
    return Fact(row.kind, row.name, row.body, row.salt, row.place, row.life, row.n)
