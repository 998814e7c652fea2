"""What goes into the ledger: a leaf in the transaction that causes it, so that neither is without the other.

    entries.receipts(connection, [(jws, subject)])    # in the transaction that stores the records
    entries.revocations(connection, [entry])          # in the one that appends the entries

A row of `ledger_outbox` carries the leaf alone. Body and salt of what is about a person go to the proof store, in the
same transaction; those of a fact travel with the row.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, insert

from consent_core.crash import crash_point
from consent_core.evidence.bodies import PolicyFact, policy_body, receipt_body, revocation_body
from consent_core.formats.leaf import SALT_BYTES, commit, fact_leaf, person_leaf
from consent_core.formats.revocation import Entry, entry_value
from consent_core.formats.seen import Seen
from consent_core.policy.approval import APPROVAL
from consent_core.policy.bundle import Bundle
from consent_core.policy.signature import file_digests
from control_plane.store.schema import ledger_outbox

_ADD = insert(ledger_outbox)

Issued = tuple[str, str]  # a receipt (JWS) and its subject


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a leaf about a person. `leaf_key`: the commitment, 64 hex digits."""

    subject: str
    body: bytes
    salt: bytes
    leaf_key: str


class Proofs(Protocol):
    """Where body and salt are kept, sealed under the person's key."""

    def expect(self, subjects: Collection[str]) -> None:
        """Something is about to be kept of these people."""
        ...

    def keep(self, connection: Connection, openings: Sequence[Opening]) -> None:
        """Keep them all in this transaction."""
        ...


class Leaves(Protocol):
    """What other rooms tell the ledger, each inside the transaction that makes it so."""

    def expect(self, subjects: Collection[str]) -> None:
        """Leaves about these people are about to come."""
        ...

    def receipts(self, connection: Connection, issued: Sequence[Issued]) -> None:
        """Receipts were issued."""
        ...

    def revocations(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Entries about people were appended."""
        ...

    def policy(self, connection: Connection, bundle: Bundle) -> None:
        """A policy was put in force."""
        ...


class NoLeaves:
    """A control plane without a ledger: for what reads a store and changes nothing that a person could ask about."""

    def expect(self, subjects: Collection[str]) -> None:
        """Nothing."""

    def receipts(self, connection: Connection, issued: Sequence[Issued]) -> None:
        """Nothing."""

    def revocations(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Nothing."""

    def policy(self, connection: Connection, bundle: Bundle) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Puts leaves. `seen()`: the last cosigned checkpoint, which every body names as what it was made after."""

    seen: Callable[[], Seen]
    proofs: Proofs

    def expect(self, subjects: Collection[str]) -> None:
        """Leaves about these people are about to come."""
        self.proofs.expect(subjects)

    def receipts(self, connection: Connection, issued: Sequence[Issued]) -> None:
        """Receipts were issued."""
        seen = self.seen()
        self.people(connection, [(subject, receipt_body(jws, seen, subject)) for jws, subject in issued])

    def revocations(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Entries about people were appended."""
        seen = self.seen()
        self.people(connection, [(entry.subject, revocation_body(entry_value(entry), seen)) for entry in entries])

    def policy(self, connection: Connection, bundle: Bundle) -> None:
        """A policy was put in force."""
        approval = bundle.files[APPROVAL].decode("ascii")
        fact = PolicyFact(bundle.hash, bundle.revision, file_digests(bundle.files), approval)
        self.fact(connection, "policy", policy_body(fact))

    def person(self, connection: Connection, subject: str, body: bytes) -> None:
        """Anything about the person that `body` names as its subject."""
        self.people(connection, [(subject, body)])

    def people(self, connection: Connection, bodies: Sequence[tuple[str, bytes]]) -> None:
        """Subjects, each with a body about it: a leaf each, in this order."""
        if not bodies:
            return
        openings = [_opening(subject, body) for subject, body in bodies]
        self.proofs.keep(connection, openings)
        leaves = (person_leaf(bytes.fromhex(opening.leaf_key)) for opening in openings)
        connection.execute(_ADD, [{"leaf": leaf, "body": None, "salt": None} for leaf in leaves])
        crash_point("ledger-outbox")

    def fact(self, connection: Connection, kind: str, body: bytes, by: str | None = None) -> None:
        """A fact of this control plane's own: a policy, a release, a key, an endorsement."""
        salt = secrets.token_bytes(SALT_BYTES)
        connection.execute(_ADD, {"leaf": fact_leaf(kind, commit(body, salt), by=by), "body": body, "salt": salt})
        crash_point("ledger-outbox")


def _opening(subject: str, body: bytes) -> Opening:
    salt = secrets.token_bytes(SALT_BYTES)
    return Opening(subject, body, salt, commit(body, salt).hex())
