"""Access: each holder of a person's data seals its part to the asker; who carries a part cannot read it.

    gathering.open()                          # what a POP is asked for: [{"id", "subject", "public_key"}]
    gathering.take("edge/tokyo-1", id, sealed)

A POP asks every few seconds whether somebody wants to know what it holds. The control plane seals its own part the
same way, so that what lies here opens for nobody here either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json
from consent_core.formats.token import encode_base64url
from consent_core.trust.sealing import seal
from control_plane.dsar import store
from control_plane.dsar.answering import Answers
from control_plane.dsar.store import Request, StepRow
from control_plane.proofs.store import ProofStore
from control_plane.store.database import Database

STEP = "gather"


@dataclass(frozen=True, slots=True)
class Gathering:
    """Parts of answers, of one store."""

    database: Database
    proofs: ProofStore
    answers: Answers
    clock: Clock

    def gather(self, request: Request, row: StepRow, subject: str, own: str) -> Mapping[str, Any] | None:
        """This control plane's part at once; another holder's when it has come."""
        what = f"part {row.party}"
        with self.database.write() as connection:
            if row.party != own:
                return {"sealed": True} if what in store.answers_of(connection, request.id) else None
            data = canonical_json(self.answers.known(connection, request, subject))
            store.keep_answer(connection, request.id, what, seal(request.public_key, data, what), self.clock.now())
            return {"sealed": True}

    def open(self, place: str) -> list[dict[str, str]]:
        """What a place is asked for now."""
        asked = []
        with self.database.read() as connection:
            for request in store.all_of(connection, store.ACTIVE):
                rows = store.due(request, store.steps_of(connection, request.id))
                if any((row.step, row.party) == (STEP, place) for row in rows):
                    asked.append(request)
        return [named for request in asked if (named := self._named(request)) is not None]

    def take(self, place: str, request: str, sealed: bytes) -> None:
        """Keep a place's part. Raises: Rejected("request-unknown", 404) for one that it was not asked for."""
        with self.database.write() as connection:
            rows = store.steps_of(connection, request)
            if not any((row.step, row.party) == (STEP, place) for row in rows):
                raise Rejected("request-unknown", "this place was not asked", status=404)
            store.keep_answer(connection, request, f"part {place}", sealed, self.clock.now())

    def _named(self, request: Request) -> dict[str, str] | None:
        plain = self.proofs.unseal(request.subject)
        if plain is None:
            return None
        public_key = encode_base64url(request.public_key)
        return {"id": request.id, "subject": plain.decode("ascii"), "public_key": public_key}
