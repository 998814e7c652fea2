"""One key per visitor: what a record says about a person is sealed under it, and deleting it shreds all of that.

Keys are random, one per visitor and month, and lie in `visitors.db` sealed under a store key that a key provider
wraps. Records carry a key's random id; a visitor is found only by who already knows the revocation log's name for
them (`subject`), through an HMAC.
Trust in this store: a deletion from it can make person fields unreadable, never the chain invalid. Backups of it
must not outlive the promise to shred.
"""

import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_core.audit.frames import FORMAT
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.token import decode_base64url, encode_base64url
from consent_core.trust.files import PRIVATE, locked
from consent_core.trust.providers import KeyProvider

CACHED_VISITORS = 4_096
KEY_ID_BYTES = 9
NONCE_BYTES = 12  # random: one visitor's month has far fewer than the 2^32 records SP 800-38D allows

Fields = tuple[tuple[str, str | int], ...]  # pairs of name and value

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS store (one INTEGER PRIMARY KEY CHECK (one = 1), wrapped TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS visitor (
  key_id BLOB PRIMARY KEY, handle BLOB NOT NULL, period TEXT NOT NULL, sealed BLOB NOT NULL,
  UNIQUE (handle, period)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shredded (handle BLOB PRIMARY KEY, period TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_MEMBER = b',"person":"%b"'
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Person:
    """What a record says of a visitor. `subject`: the revocation log's name for them, 64 hex digits.

    Holds how it was sealed last (`VisitorKeys.seal`), which stands for as long as `epoch` is the keys' own.
    """

    __slots__ = ("epoch", "fields", "sealed", "subject")

    def __init__(self, subject: str, fields: Fields) -> None:
        self.subject, self.fields = subject, fields
        self.sealed, self.epoch = b"", None  # type: bytes, object


class VisitorKeys:
    """The visitor keys of one writer. Not for several threads at once: the writer's lock guards it.

    `_ciphers` is a cache, emptied when full or when somebody is shredded. `epoch` is another object after each
    shredding and in each month: what was sealed before it is not used again.
    """

    def __init__(self, directory: Path, writer: str, provider: KeyProvider, *, durable: bool = False) -> None:
        """`durable`: a key is on the disk before anything is sealed under it, at the cost of one fsync per new key."""
        self._context = f"{FORMAT}|{writer}|visitors"
        self._path = directory / "visitors.db"
        self._provider = provider
        with locked(directory):
            self._database = _connect(self._path)
            if durable:
                self._database.execute("PRAGMA synchronous = FULL")
            store_key = self._store_key()
        self._index_key = hmac.digest(store_key, b"index", "sha256")
        self._wrapping = AESGCM(hmac.digest(store_key, b"wrap", "sha256"))
        self._ciphers: dict[tuple[str, str], tuple[bytes, AESGCM] | None] = {}
        self._period = ""
        self.epoch = object()

    def begin(self, period: str) -> None:
        """Seal under the keys of this month (YYYY-MM) from now on."""
        if period != self._period:
            self._period, self.epoch = period, object()

    def seal(self, person: Person) -> bytes:
        """The last member of a record about `person`: base64url of key id, nonce and ciphertext, under their key.

        Empty for a visitor who was shredded: nothing of them is recorded again. The same `Person` gives the same text
        again: records are sealed as a whole, so no reader sees it.
        """
        if person.epoch is not self.epoch:
            person.sealed, person.epoch = self._seal(person.subject, person.fields), self.epoch
        return person.sealed

    def open(self, text: str) -> dict[str, Any] | None:
        """The person fields, or None if their visitor was shredded. Raises: Untrusted("audit-record")."""
        plain = self.open_bytes(decode_base64url(text))
        if plain is None:
            return None
        value: dict[str, Any] = json.loads(plain)
        return value

    def prepare(self, subjects: Collection[str]) -> None:
        """Find or make the keys of all these persons for this month in one transaction, so with one fsync."""
        missing = {subject for subject in subjects if (subject, self._period) not in self._ciphers}
        if len(self._ciphers) + len(missing) > CACHED_VISITORS:
            self._ciphers.clear()
            missing = set(subjects)
        if missing:
            with self._transaction():
                found = {subject: self._find(self._handle(subject), self._period) for subject in missing}
            self._ciphers.update({(subject, self._period): cipher for subject, cipher in found.items()})

    def has(self, subject: str) -> bool:
        """Whether the person's key of this month is at hand, so that nothing is written for it."""
        return (subject, self._period) in self._ciphers

    def seal_bytes(self, subject: str, data: bytes) -> bytes | None:
        """`data` under the person's key of this month; None for a person who was shredded."""
        known = self._cipher(subject, self._period)
        if known is None:
            return None
        (key_id, cipher), nonce = known, os.urandom(NONCE_BYTES)
        return key_id + nonce + cipher.encrypt(nonce, data, key_id)

    def open_bytes(self, data: bytes) -> bytes | None:
        """What was sealed, or None if the key is gone. Raises: Untrusted("audit-record")."""
        key_id, nonce = data[:KEY_ID_BYTES], data[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        row = self._execute("SELECT sealed FROM visitor WHERE key_id = ?", key_id).fetchone()
        if row is None:
            return None
        try:
            return self._unseal(key_id, row[0]).decrypt(nonce, data[KEY_ID_BYTES + NONCE_BYTES :], key_id)
        except InvalidTag as error:
            raise Untrusted("audit-record", "person fields that their visitor's key does not open") from error

    def shred(self, subject: str, period: str) -> int:
        """Delete every key of a visitor, for good, and make no new one. Returns how many keys there were."""
        handle = self._handle(subject)
        with self._transaction():
            self._execute("INSERT OR IGNORE INTO shredded VALUES (?, ?)", handle, period)
            deleted = self._execute("DELETE FROM visitor WHERE handle = ?", handle).rowcount
        self._forget()
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the deleted key leaves the journal too
        return deleted

    def keys_left(self, subject: str) -> int:
        """How many keys of a visitor there are; one more while the journal may hold a deleted one."""
        (keys,) = self._execute("SELECT COUNT(*) FROM visitor WHERE handle = ?", self._handle(subject)).fetchone()
        (busy, *_) = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return int(keys) + int(busy)

    def is_shredded(self, subject: str) -> bool:
        """Whether this visitor's keys were deleted for good."""
        row = self._execute("SELECT 1 FROM shredded WHERE handle = ?", self._handle(subject)).fetchone()
        return row is not None

    def expire(self, before_period: str, held: Collection[str] = ()) -> int:
        """Delete the keys of months whose records are gone, but of people on hold (by handle). Returns how many."""
        kept = [bytes.fromhex(handle) for handle in held]
        marks = ", ".join("?" * len(kept))
        old = f"DELETE FROM visitor WHERE period < ? AND handle NOT IN ({marks})"  # noqa: S608  question marks alone
        deleted = self._execute(old, before_period, *kept).rowcount
        self._execute("DELETE FROM shredded WHERE period < ?", before_period)
        self._forget()
        return deleted

    def rewrap(self) -> None:
        """Wrap the store key anew; the visitor keys below it stay as they are."""
        (wrapped,) = self._execute("SELECT wrapped FROM store").fetchone()
        self._execute("UPDATE store SET wrapped = ?", self._provider.rewrap(wrapped, self._context))

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def handle(self, subject: str) -> str:
        """By what rows about a person are found, for who knows the person: without the store key it names no person."""
        return self._handle(subject).hex()

    def _seal(self, subject: str, fields: Fields) -> bytes:
        sealed = self.seal_bytes(subject, _encode(dict(fields)).encode())
        return _MEMBER % (b"" if sealed is None else encode_base64url(sealed).encode("ascii"))

    def _cipher(self, subject: str, period: str) -> tuple[bytes, AESGCM] | None:
        """A visitor's key id and cipher of a month; None for who was shredded."""
        if (subject, period) not in self._ciphers:
            self.prepare((subject,))
        return self._ciphers[subject, period]

    def _find(self, handle: bytes, period: str) -> tuple[bytes, AESGCM] | None:
        """The visitor's key, made if there is none. Another process may be making it: the first one counts."""
        key_id, key, nonce = os.urandom(KEY_ID_BYTES), os.urandom(32), os.urandom(NONCE_BYTES)
        sealed = nonce + self._wrapping.encrypt(nonce, key, key_id)
        if self._execute("SELECT 1 FROM shredded WHERE handle = ?", handle).fetchone():
            return None
        self._execute("INSERT OR IGNORE INTO visitor VALUES (?, ?, ?, ?)", key_id, handle, period, sealed)
        row = self._execute("SELECT key_id, sealed FROM visitor WHERE handle = ? AND period = ?", handle, period)
        found, sealed = row.fetchone()
        return found, self._unseal(found, sealed)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _unseal(self, key_id: bytes, sealed: bytes) -> AESGCM:
        return AESGCM(self._wrapping.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key_id))

    def _handle(self, subject: str) -> bytes:
        return hmac.digest(self._index_key, subject.encode(), hashlib.sha256)

    def _forget(self) -> None:
        self._ciphers.clear()
        self.epoch = object()

    def _store_key(self) -> bytes:
        row = self._execute("SELECT wrapped FROM store").fetchone()
        if row is not None:
            return self._provider.unwrap(row[0], self._context)
        key = os.urandom(32)
        self._execute("INSERT INTO store VALUES (1, ?)", self._provider.wrap(key, self._context))
        return key

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise Unavailable("audit-unwritable", f"the visitor keys: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=PRIVATE)
        database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        database.executescript(_SCHEMA)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable("audit-unwritable", f"the visitor keys: {error}") from error
    return database
