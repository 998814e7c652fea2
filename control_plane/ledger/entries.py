"""What goes into the ledger: a leaf in the transaction that causes it, so that neither is without the other.

    entries.receipt(connection, jws, subject)         # in the transaction that stores the record
    entries.revocation(connection, entry)             # in the one that appends the entry

A row of `ledger_outbox` carries the leaf alone. Body and salt of what is about a person go to the proof store, in the
same transaction; those of a fact travel with the row.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, insert

from consent_core.crash import crash_point
from consent_core.formats.canonical import canonical_json
from consent_core.formats.leaf import SALT_BYTES, commit, fact_leaf, person_leaf
from control_plane.store.schema import ledger_outbox

_ADD = insert(ledger_outbox)


class Proofs(Protocol):
    """Where body and salt are kept, sealed under the person's key."""

    def keep(self, connection: Connection, subject: str, body: bytes, salt: bytes, leaf_key: str) -> None:
        """Keep both in this transaction. `leaf_key`: the commitment, 64 hex digits."""
        ...


class NoProofs:
    """Keeps nothing: the leaf is in the ledger, and nobody can ever open it."""

    def keep(self, connection: Connection, subject: str, body: bytes, salt: bytes, leaf_key: str) -> None:
        """Let body and salt go."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Puts leaves. `seen()`: the last cosigned checkpoint, which every body names as what it was made after."""

    seen: Callable[[], str]
    proofs: Proofs

    def receipt(self, connection: Connection, jws: str, subject: str) -> None:
        """A receipt was issued."""
        self.person(connection, {"kind": "receipt", "jws": jws, "seen": self.seen(), "subject": subject})

    def revocation(self, connection: Connection, entry: Mapping[str, Any]) -> None:
        """An entry about a person was appended; `prev` is left out, since it would tell of the entry before."""
        shown = {name: value for name, value in entry.items() if name != "prev"}
        subject = entry["subject"]
        self.person(connection, {"kind": "revocation", "entry": shown, "seen": self.seen(), "subject": subject})

    def person(self, connection: Connection, body: Mapping[str, Any]) -> None:
        """Anything about the person that `body` names as its `subject`."""
        data, salt = canonical_json(body), secrets.token_bytes(SALT_BYTES)
        commitment = commit(data, salt)
        self.proofs.keep(connection, body["subject"], data, salt, commitment.hex())
        connection.execute(_ADD, {"leaf": person_leaf(commitment), "body": None, "salt": None})
        crash_point("ledger-outbox")

    def fact(self, connection: Connection, kind: str, body: bytes, by: str | None = None) -> None:
        """A fact of this control plane's own: a policy, a release, a key, an endorsement."""
        salt = secrets.token_bytes(SALT_BYTES)
        connection.execute(_ADD, {"leaf": fact_leaf(kind, commit(body, salt), by=by), "body": body, "salt": salt})
        crash_point("ledger-outbox")
