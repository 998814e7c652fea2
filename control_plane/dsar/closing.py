"""The end of a deletion: the file, judged by our own verifier; then, its proofs gone, the closing statement.

    closings.evidence(request, subject)      # None until the record of the request and every proof are witnessed
    closings.close(request)                  # after the proofs are gone

Both are kept sealed to the asker's secret. Of the file only its digest stays in the clear.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent_core.clock import Clock
from consent_core.errors import Unavailable
from consent_core.evidence.bodies import request_body
from consent_core.evidence.opening import Circumstances
from consent_core.evidence.pack import ROLE
from consent_core.evidence.verdict import judge
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.closing import Closing, sign_closing
from consent_core.formats.days import day_of
from consent_core.trust.keys import KeyStore
from consent_core.trust.sealing import seal
from control_plane.dsar import store
from control_plane.dsar.records import record_of
from control_plane.dsar.store import Request
from control_plane.evidence.packing import Packing
from control_plane.ledger.ledger import Ledger
from control_plane.store.database import Database

PACK, CLOSING = "pack", "closing"
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Closings:
    """Of one deployment. `evidence_kept_days`: the sealed file can be fetched for so long."""

    database: Database
    packing: Packing
    keys: KeyStore
    ledger: Ledger
    clock: Clock
    evidence_kept_days: int
    backups_kept_days: int

    def state(self, connection: Connection, request: Request, subject: str) -> bytes:
        """Put the request's record, as it is now, into the ledger."""
        record = record_of(request, store.steps_of(connection, request.id), self.clock.now())
        self.ledger.entries.person(connection, subject, request_body(record, self.ledger.seen(), subject))
        return canonical_json(record)

    def evidence(self, request: Request, subject: str) -> Mapping[str, Any] | None:
        """The file's digest. First the record of what was done is stated; the file is made when witnesses saw it.

        Raises: Unavailable("evidence-refused") for a file that our own verifier does not believe.
        """
        if request.record is None:
            with self.database.write() as connection:
                if self._locked(connection, request).record is None:  # another control plane may have been first
                    store.change(connection, request.id, record=self.state(connection, request, subject))
            return None
        try:
            data = self.packing.pack(subject, "deletion", json.loads(request.record))
        except Unavailable as error:
            if error.code == "evidence-early":
                return None
            raise
        self._require_believed(data)
        digest, now = sha256_digest(data), self.clock.now()
        with self.database.write() as connection:
            first = self._locked(connection, request).evidence_sha256
            if not first:
                store.keep_answer(connection, request.id, PACK, seal(request.public_key, data, PACK), now)
                store.change(connection, request.id, evidence_sha256=digest)
        return {"pack": first or digest}

    def close(self, request: Request) -> Mapping[str, Any]:
        """The last word."""
        with self.database.read() as connection:
            rows = store.steps_of(connection, request.id)
        results = {row.step: row.result for row in rows}
        now = self.clock.now()
        closing = Closing(
            request=request.id,
            pack=str(results["evidence"]["pack"]),
            open=(),
            proofs_gone_at=int(results["salts"]["at"]),
            left=self._left(now),
            iat=now,
            seen=self.ledger.seen(),
        )
        text = sign_closing(closing, self.keys.current(ROLE))
        with self.database.write() as connection:
            self._locked(connection, request)
            if CLOSING not in store.answers_of(connection, request.id):
                sealed = seal(request.public_key, text.encode("ascii"), CLOSING)
                store.keep_answer(connection, request.id, CLOSING, sealed, now)
        return {"told": True}

    @staticmethod
    def _locked(connection: Connection, request: Request) -> Request:
        found = store.find(connection, request.id, lock=True)
        assert found is not None, "a request's row is never deleted"
        return found

    def _require_believed(self, data: bytes) -> None:
        verdict = judge(data, self.keys.trust_file().to_bytes(), Circumstances(self.clock.now()))
        if verdict.exit_code:
            codes = sorted({found.code for result in verdict.results for found in result.findings})
            shown = ", ".join(codes) or "what the question needs is not shown"
            raise Unavailable("evidence-refused", f"our own verifier does not believe the file: {shown}")

    def _left(self, now: int) -> tuple[str, ...]:
        backups, file = (day_of(now + days * DAY_S) for days in (self.backups_kept_days, self.evidence_kept_days))
        return (
            f"the evidence file and this statement, sealed to the asker, until {file}",
            f"the erasure register's sealed name of the erased person, to erase restored copies again, until {backups}",
            f"backups of proofs and keys until {backups}",
            "the log's entries about the erased pseudonym, to erase at places that were away",
            "the row of the request, which names nobody",
            "freed memory and buffers of the processes, which nothing reads, until each of them ends",
            "copies that were given away: they open these leaves for ever",
        )
