"""Takes what places attest: only what the caller itself signed, each place's chain in order, every fork kept.

    answer = intake.take("spiffe://ui-tools/edge/tokyo-1", lines)

| line | then |
|---|---|
| the next number, naming the one before | kept, its leaf goes to the ledger |
| one that is there already, to the letter | counts once |
| a number further on | kept; the gap stays visible in the numbers |
| the first of the next life | kept: the place's store was lost or restored |
| a number that is taken, with other bytes, or one that names another before it | kept as evidence; the key is refused |
| of an earlier life, or by a refused key | not taken |
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, update

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected, Untrusted
from consent_core.evidence.bodies import attestation_body
from consent_core.formats.attestation import Attestation, open_attestation, place_of
from consent_core.formats.attester import IntakeAnswer, Known, Line
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.statement import PersonStatement, open_statement
from consent_core.trust.signatures import verify_signature
from control_plane.attesters import facts
from control_plane.attesters.endorsing import find, newest_of
from control_plane.attesters.facts import Fact
from control_plane.attesters.statements import Statements
from control_plane.store.database import Database
from control_plane.store.schema import attesters, forks

FORKED = "attestation-forked"
AHEAD_S = 120  # a place's clock may be so far before ours


@dataclass(frozen=True, slots=True)
class Intake:
    """The intake of one deployment."""

    database: Database
    clock: Clock
    statements: Statements

    def take(self, spiffe_id: str, lines: tuple[Line, ...]) -> IntakeAnswer:
        """Take lines in order until one is refused. Raises: Untrusted, if it is the first of all (409 or 422)."""
        accepted = 0
        for line in lines:
            try:
                with self.database.write() as connection:
                    fork = self._take(connection, spiffe_id, line)
                if fork:
                    raise Untrusted("attestation-forked", fork)
            except Untrusted as error:
                if accepted == 0:
                    status = 409 if error.code == FORKED else 422  # here it is the caller who must act
                    raise Untrusted(error.code, error.message, status=status) from error
                return self._answer(spiffe_id, accepted, error.code)
            accepted += 1
        return self._answer(spiffe_id, accepted, "")

    def _answer(self, spiffe_id: str, accepted: int, code: str) -> IntakeAnswer:
        with self.database.read() as connection:
            return IntakeAnswer(accepted, newest_of(connection, place_of(spiffe_id)), code)

    def _take(self, connection: Connection, spiffe_id: str, line: Line) -> str:
        """Why this is a fork, "" if it is none."""
        signer = _Signer(connection, self.clock.now())
        if line.kind == "statement":
            statement = open_statement(line.text, signer.verify)
            self._require_own(spiffe_id, signer, statement)
            self.statements.take(connection, statement, line.text)
            return ""
        attestation = open_attestation(line.text, signer.verify)
        self._require_own(spiffe_id, signer, attestation)
        return self._chain(connection, attestation, line.text, signer.kid)

    def _require_own(self, spiffe_id: str, signer: "_Signer", said: Attestation | PersonStatement) -> None:
        if said.iss != spiffe_id or signer.place != said.place:
            raise Untrusted("attestation-issuer", "a workload speaks for itself alone")
        if said.iat > self.clock.now() + AHEAD_S:
            raise Untrusted("attestation-time", f"made {said.iat - self.clock.now()} s from now")

    def _chain(self, connection: Connection, attestation: Attestation, text: str, kid: str) -> str:
        name = f"{attestation.place}/{attestation.life}/{attestation.n}"
        body, known = attestation_body(text), facts.one(connection, "attestation", name)
        fork = _fork(attestation, newest_of(connection, attestation.place))
        if known is not None and known.body == body:
            return ""
        if known is not None or fork:
            reason = fork or f"{name} was attested with other words"
            _refuse(connection, kid, name, text, self.clock.now())
            return reason
        fact = Fact.of("attestation", name, body, attestation.place, attestation.life, attestation.n)
        facts.put(connection, fact, self.clock.now())
        crash_point("attestation-taken")
        return ""


def _fork(attestation: Attestation, known: Known) -> str:
    """Why this attestation contradicts the newest one known; "" if it does not."""
    if attestation.life < known.life:
        return f"life {attestation.life} after life {known.life}"
    follows = (attestation.life, attestation.n) == (known.life, known.n + 1)
    if (follows or (known.life and attestation.life == known.life + 1)) and attestation.prev != known.hash:
        return f"number {attestation.n} of life {attestation.life} names another one before it"
    return ""


def _refuse(connection: Connection, kid: str, name: str, text: str, at: int) -> None:
    """Keep the second story, and take nothing more from its key until an operator decides."""
    digest = sha256_digest(text.encode())
    connection.execute(insert(forks).values(name=name, digest=digest, jws=text, at=at))
    connection.execute(update(attesters).where(attesters.c.kid == kid).values(refused=FORKED))


class _Signer:
    """Verifies by the endorsed key that a text names; then `place` and `kid` say whose it was."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection, self._now = connection, now
        self.place = self.kid = ""

    def verify(self, kid: str, message: bytes, signature: bytes) -> None:
        """Raises: Untrusted("attester-unknown" | "attestation-forked" | "trust-key-expired" | "trust-signature")."""
        found = find(self._connection, kid)
        if found is None:
            raise Untrusted("attester-unknown", "no endorsement of that key")
        if found.refused:
            raise Untrusted(found.refused, "this key has told two stories")
        if not found.not_before <= self._now < found.not_after:
            raise Untrusted("trust-key-expired", "the attester's key is not valid now")
        try:
            verify_signature("ed25519", found.key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", "not signed by the attester's key it names") from error
        self.place, self.kid = found.place, kid
