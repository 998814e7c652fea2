"""The control plane's own attester: a place like any POP, with a key of its own that role `attestation` endorses.

    own.look()                          # once a second: attests at start, once a minute, and when the policy changes
    own.state_deletion(subject, seq)    # what this place deleted for a purge; False while a part is owed

Its chain lies in the consent database. How far it went is also in a file beside it, so that a database that was set
back begins another life and never uses a number twice.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, select

from consent_core.clock import Clock
from consent_core.evidence.bodies import attestation_body
from consent_core.formats.attestation import Attestation, LogPosition, PolicyInForce, place_of, sign_attestation
from consent_core.formats.attester import AttesterRequest, Known, proof_message
from consent_core.formats.endorsement import attester_kid
from consent_core.formats.seen import Seen
from consent_core.formats.statement import PROFILES, After, Deletion, sign_statement
from consent_core.trust.files import PRIVATE, locked, write_atomically
from control_plane.attesters import facts
from control_plane.attesters.endorsing import Endorsing, newest_of, read_attestation
from control_plane.attesters.facts import Fact
from control_plane.attesters.statements import Statements
from control_plane.policies.current import Policy
from control_plane.revocations.erasing import Erasing
from control_plane.store.schema import bundles, log_head

EVERY_S = 60
PROFILE = "control-plane/v1"
KEY, END = "attester.key", "attester.end"


class OwnKey:
    """An Ed25519 key by its name, made at the first start."""

    def __init__(self, home: Path) -> None:
        path = home / KEY
        with locked(home):
            if not path.exists():
                write_atomically(path, os.urandom(32), PRIVATE)
        self._private = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        self.public_key = self._private.public_key().public_bytes_raw()
        self.kid = attester_kid(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes."""
        return self._private.sign(message)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What it attests: the policy in force, and the heads of this process's trails. seen: the last checkpoint."""

    policy: Callable[[], Policy]
    heads: Callable[[], Mapping[str, str]]
    seen: Callable[[], Seen]


class OwnAttester:
    """`_begun`: whether this process has attested its start; `_policy`: the hash that was attested last."""

    def __init__(
        self,
        spiffe_id: str,
        home: Path,
        endorsing: Endorsing,
        statements: Statements,
        erasing: Erasing,
        around: Surroundings,
        every_s: int = EVERY_S,
    ) -> None:
        self.spiffe_id, self.place = spiffe_id, place_of(spiffe_id)
        self._home = home
        self._endorsing, self._statements, self._erasing = endorsing, statements, erasing
        self._around = around
        self._every_s = every_s
        self._key: OwnKey | None = None
        self._policy: str | None = None

    @property
    def _clock(self) -> Clock:
        return self._endorsing.clock

    def look(self) -> None:
        """Attest if it is time. Raises: Unavailable."""
        if self._policy is None:
            self._enrol()
            self.attest("start")
        elif self._policy != self._around.policy().hash:
            self.attest("activation")
        elif self._clock.now() - self._until() >= self._every_s:
            self.attest("interval")

    def attest(self, kind: str) -> None:
        """The next attestation, on the disk with its leaf when this returns. Raises: Unavailable."""
        assert self._key is not None, "enrolled by `look`"
        policy, heads = self._around.policy(), dict(self._around.heads())
        with self._endorsing.database.write() as connection:
            attestation = self._next(connection, kind, policy, heads)
            text = sign_attestation(attestation, self._key)
            name = f"{self.place}/{attestation.life}/{attestation.n}"
            fact = Fact.of("attestation", name, attestation_body(text), self.place, attestation.life, attestation.n)
            facts.put(connection, fact, self._clock.now())
        self._note_end(attestation)
        self._policy = policy.hash

    def state_deletion(self, subject: str, seq: int, taken: Callable[[Connection], None]) -> bool:
        """Say what was deleted here; `taken` is called in the transaction that keeps the statement.

        False while a part is owed.
        """
        report = self._erasing.report(seq)
        if report is None:
            return False
        self.look()
        if self._position() < seq:
            self.attest("interval")
        with self._endorsing.database.write() as connection:
            statement = self._deletion(connection, subject, seq, report)
            assert self._key is not None
            self._statements.take(connection, statement, sign_statement(statement, self._key))
            taken(connection)
        return True

    def _enrol(self) -> None:
        self._key = self._key or OwnKey(self._home)
        proof = self._key.sign(proof_message(self.spiffe_id))
        self._endorsing.endorse(self.spiffe_id, AttesterRequest(self._key.public_key, proof))

    def _next(self, connection: Connection, kind: str, policy: Policy, heads: Mapping[str, str]) -> Attestation:
        now, known = self._clock.now(), newest_of(connection, self.place)
        set_back = self._end() > (known.life, known.n)
        life, n = (max(self._end()[0], known.life) + 1, 1) if set_back else (max(known.life, 1), known.n + 1)
        since = max(_until(connection, self.place, known), 0) or now
        head = connection.execute(select(log_head.c.origin, log_head.c.head)).one()
        asked = select(bundles.c.at, bundles.c.revision).where(bundles.c.hash == policy.hash)
        bundle = connection.execute(asked).one()
        until = max(now, since)
        return Attestation(
            iss=self.spiffe_id,
            iat=now,
            kind=kind,
            life=life,
            n=n,
            prev=known.hash,
            since=since,
            until=until,
            components={},
            releases={},
            policy=PolicyInForce(policy.hash, bundle.revision, bundle.at),
            log=LogPosition(head.origin, head.head, (), ((since, until),)),
            seen=self._around.seen(),
            audit=heads,
        )

    def _deletion(self, connection: Connection, subject: str, seq: int, report: Mapping[str, object]) -> Deletion:
        known = newest_of(connection, self.place)
        counted = report["deleted"]
        assert isinstance(counted, dict)
        # Nothing of this process remembers a person between two requests, and there is no telemetry of people.
        # Trails of further control planes are counted by the report; the place attests its own.
        trails = {f"trail.{writer}" for writer in self._around.heads()}
        mine = {part: rows for part, rows in counted.items() if not part.startswith("trail.") or part in trails}
        deleted = {**mine, "telemetry": 0, f"memory.{self.place.partition('/')[2]}": 0}
        return Deletion(
            iss=self.spiffe_id,
            iat=self._clock.now(),
            seen=self._around.seen(),
            request="",
            subject=subject,
            seq=seq,
            after=After(known.life, known.n, known.hash),
            parts=PROFILE,
            deleted=deleted,
            remaining=dict.fromkeys(deleted, 0),
            ends={part: day for part, day in _ends(report).items() if part in PROFILES[PROFILE].ends},
            at=self._clock.now(),
        )

    def _until(self) -> int:
        with self._endorsing.database.read() as connection:
            return _until(connection, self.place, newest_of(connection, self.place))

    def _position(self) -> int:
        with self._endorsing.database.read() as connection:
            fact = facts.newest(connection, "attestation", self.place)
        return 0 if fact is None else read_attestation(fact).log.position

    def _end(self) -> tuple[int, int]:
        """The last life and number that this directory knows of."""
        path = self._home / END
        if not path.exists():
            return (0, 0)
        life, n = json.loads(path.read_text())
        return (life, n)

    def _note_end(self, attestation: Attestation) -> None:
        write_atomically(self._home / END, json.dumps([attestation.life, attestation.n]).encode(), PRIVATE)


def _until(connection: Connection, place: str, known: Known) -> int:
    fact = facts.newest(connection, "attestation", place) if known.n else None
    return 0 if fact is None else read_attestation(fact).until


def _ends(report: Mapping[str, object]) -> dict[str, str]:
    ends = report["ends"]
    return dict(ends) if isinstance(ends, dict) else {}
