"""What places say about a person: kept sealed at once, and put into the ledger together.

    statements.take(connection, statement, jws)       # in the intake's transaction
    statements.flush()                                # once a beat: one leaf for all that say the same of one person

If each statement had a leaf of its own, the number of leaves would show how many places there are and when somebody
made a request. Until it is flushed a statement lies here sealed under the person's key, as every proof.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.evidence.bodies import statements_body
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.statement import PersonStatement, Search
from control_plane.ledger.entries import Entries
from control_plane.proofs.store import ProofStore
from control_plane.store.database import Database
from control_plane.store.schema import statements as table

GATHER_S = 30  # from the first statement of a group to its leaf: a beat
SENT_AGAIN_S = 30 * 86_400  # a place sends a statement again for no longer
MOST = 4_096  # statements of one leaf


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements on their way into the ledger. `gather_s`: how long others are waited for."""

    database: Database
    proofs: ProofStore
    entries: Entries
    clock: Clock
    gather_s: int = GATHER_S

    def take(self, connection: Connection, statement: PersonStatement, text: str) -> None:
        """Keep one, sealed; the same text again counts once. Of a person whose proofs are gone nothing is kept."""
        sealed = self.proofs.seal(statement.subject, canonical_json({"jws": text, "subject": statement.subject}))
        digest = sha256_digest(text.encode())
        if sealed is None or connection.scalar(select(table.c.id).where(table.c.digest == digest)) is not None:
            return
        kind = "search" if isinstance(statement, Search) else "deletion"
        batch = f"{self.proofs.handle(statement.subject)}/{kind}/{statement.seq}"
        connection.execute(insert(table).values(batch=batch, digest=digest, sealed=sealed, at=self.clock.now()))

    def flush(self) -> int:
        """Put what has waited long enough into the ledger; how many leaves."""
        ripe = self.clock.now() - self.gather_s
        with self.database.read() as connection:
            waiting = select(table.c.batch).where(table.c.at <= ripe, table.c.sealed != b"").distinct()
            batches = list(connection.scalars(waiting))
        for batch in batches:
            with self.database.write() as connection:
                self._place(connection, batch)
            crash_point("statements-flushed")
        return len(batches)

    def _place(self, connection: Connection, batch: str) -> None:
        asked = select(table).where(table.c.batch == batch, table.c.sealed != b"").order_by(table.c.digest).limit(MOST)
        rows = connection.execute(asked.with_for_update()).all()
        opened = [value for value in self._opened(rows) if value is not None]
        if opened:
            subject = opened[0]["subject"]
            body = statements_body([value["jws"] for value in opened], subject)
            self.entries.person(connection, subject, body)
        # The digest stays, so that a repeated text counts once; what it says is in the proof store now.
        gone = [row.id for row in rows]
        connection.execute(table.update().where(table.c.id.in_(gone)).values(sealed=b""))

    def sweep(self, connection: Connection, before: int) -> int:
        """Forget digests of statements that no place can send again."""
        return connection.execute(delete(table).where(table.c.at <= before, table.c.sealed == b"")).rowcount

    def _opened(self, rows: Iterable[Row[tuple[object, ...]]]) -> Iterable[dict[str, str] | None]:
        for row in rows:
            plain = self.proofs.unseal(row.sealed)
            yield None if plain is None else json.loads(plain)
