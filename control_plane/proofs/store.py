"""Keeps what opens a person's leaves, sealed under their key of the month, in the transaction that causes it.

    with database.write() as connection:
        proofs.keep(connection, [Opening(subject, body, salt, leaf_key)])      # both or neither
    proofs.of(connection, subject)                                  # [Proof(key, body, salt, at)], oldest first
    proofs.destroy(connection, subject)                             # for good: no key here opens those leaves

Keys lie in a file of their own, `proofs/visitors.db`, sealed under a key that a key provider wraps; they are on the
disk before the row is. A row holds no name: `handle` is an HMAC of the person's name under the store key.
Trust in this store: *trusted with privacy*: pseudonymous bodies, sealed. Losing it loses proof, not safety.
"""

import re
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from consent_core.audit.visitors import VisitorKeys
from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Untrusted
from consent_core.formats.days import month_of
from consent_core.formats.leaf import SALT_BYTES
from consent_core.trust.providers import KeyProvider
from control_plane.ledger.entries import Opening
from control_plane.store.schema import proofs as table

WRITER = "proofs"
_COMMITMENT = re.compile(r"[0-9a-f]{64}")

_ADD = insert(table)
_OF = select(table.c.leaf_key, table.c.sealed, table.c.at).where(table.c.handle == bindparam("of")).order_by(table.c.id)


@dataclass(frozen=True, slots=True)
class Proof:
    """A body and the salt that together open the leaf of commitment `leaf_key` (64 hex digits). `at`: Unix seconds."""

    leaf_key: str
    body: bytes
    salt: bytes
    at: int


class ProofStore:
    """The proofs of one deployment. `_lock` guards the keys, which are not for several threads at once.

    `_ahead` makes keys while the change that needs them is prepared, so that two flushes of the disk cost one wait.
    """

    def __init__(self, keys: VisitorKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead = ThreadPoolExecutor(1, "proof-keys")

    @classmethod
    def open(cls, directory: Path, provider: KeyProvider, clock: Clock) -> "ProofStore":
        """Open or create the keys under `directory`. Raises: Unavailable("audit-unwritable")."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(VisitorKeys(directory, WRITER, provider, durable=True), clock)

    def expect(self, subjects: Collection[str]) -> None:
        """Begin to make the keys that these people lack this month; `keep` waits for them, or makes them itself."""
        lacking = {subject for subject in subjects if not self._keys.has(subject)}
        if lacking:
            self._ahead.submit(self._prepare, lacking)

    def keep(self, connection: Connection, openings: Sequence[Opening]) -> None:
        """Keep what opens leaves about people, in the caller's transaction.

        Nothing is kept for a person whose proofs were destroyed. A salt serves one leaf, so a leaf is kept once.
        """
        for opening in openings:
            _require_opening(opening.salt, opening.leaf_key)
        rows = [row for row in self._sealed(openings) if row["sealed"] is not None]
        crash_point("proof-sealed")
        if rows:
            connection.execute(_ADD, rows)

    def seal(self, subject: str, data: bytes) -> bytes | None:
        """`data` under the person's key of this month; None for a person whose proofs were destroyed."""
        with self._working(self._clock.now()) as keys:
            return keys.seal_bytes(subject, data)

    def unseal(self, data: bytes) -> bytes | None:
        """What was sealed; None if the key is gone. Raises: Untrusted("audit-record")."""
        with self._working(self._clock.now()) as keys:
            return keys.open_bytes(data)

    def handle(self, subject: str) -> str:
        """By what rows about a person are found; without the store key it names no person."""
        return self._keys.handle(subject)

    def of(self, connection: Connection, subject: str) -> list[Proof]:
        """Everything kept of a person that still opens, oldest first. Raises: Untrusted("audit-record")."""
        with self._working(self._clock.now()) as keys:
            rows = connection.execute(_OF, {"of": keys.handle(subject)}).all()
            opened = [(row.leaf_key, keys.open_bytes(row.sealed), row.at) for row in rows]
        return [
            Proof(leaf_key, plain[SALT_BYTES:], plain[:SALT_BYTES], at)
            for leaf_key, plain, at in opened
            if plain is not None
        ]

    def destroy(self, connection: Connection, subject: str) -> int:
        """Delete a person's keys for good, and the rows that they opened. Returns how many rows there were.

        The keys go at once, also if the caller's transaction fails: rows without keys cannot be opened.
        """
        now = self._clock.now()
        with self._working(now) as keys:
            keys.shred(subject, month_of(now))
            handle = keys.handle(subject)
        crash_point("proof-shredded")
        return connection.execute(delete(table).where(table.c.handle == handle)).rowcount

    def is_destroyed(self, subject: str) -> bool:
        """Whether a person's keys were deleted for good."""
        with self._lock:
            return self._keys.is_shredded(subject)

    def discard(self, connection: Connection, handle: str) -> int:
        """Delete the rows of a person whose keys are gone, found by handle alone. Returns how many there were."""
        return connection.execute(delete(table).where(table.c.handle == handle)).rowcount

    def expire(self, connection: Connection, keep_s: int, held: Collection[str] = ()) -> int:
        """Delete the rows older than `keep_s`, and the keys of the months before. Returns how many rows went.

        `held`: handles of people of whom nothing may go.
        """
        end = self._clock.now() - keep_s
        with self._working(self._clock.now()) as keys:
            keys.expire(month_of(max(0, end)), held)
        old = (table.c.at <= end) & table.c.handle.not_in(held)
        return connection.execute(delete(table).where(old)).rowcount

    def count(self, connection: Connection, subject: str | None = None) -> int:
        """How many rows there are, of one person or of all."""
        counted = select(func.count()).select_from(table)
        if subject is not None:
            counted = counted.where(table.c.handle == self._keys.handle(subject))
        return connection.scalar(counted) or 0

    def close(self) -> None:
        """Close the keys."""
        self._ahead.shutdown()
        self._keys.close()

    def _sealed(self, openings: Sequence[Opening]) -> list[dict[str, Any]]:
        now = self._clock.now()
        with self._working(now) as keys:
            keys.prepare({opening.subject for opening in openings})
            return [
                {
                    "leaf_key": opening.leaf_key,
                    "handle": keys.handle(opening.subject),
                    "sealed": keys.seal_bytes(opening.subject, opening.salt + opening.body),
                    "at": now,
                }
                for opening in openings
            ]

    def _prepare(self, subjects: Collection[str]) -> None:
        with self._working(self._clock.now()) as keys:
            keys.prepare(subjects)

    @contextmanager
    def _working(self, now: int) -> Iterator[VisitorKeys]:
        with self._lock:
            self._keys.begin(month_of(now))
            yield self._keys


def _require_opening(salt: bytes, leaf_key: str) -> None:
    if len(salt) != SALT_BYTES or not _COMMITMENT.fullmatch(leaf_key):
        raise Untrusted("commitment", "a proof is a salt and the commitment that it opens")
