"""Data keys: one per segment, wrapped by a key provider, in `<date>.keys` beside `<date>.log`.

A line per segment: `{"offset": 0, "segment": 1, "wrapped": "…"}`. The chain does not cover this file, so that keys
can be wrapped anew; each segment's header commits to its key, so that another one is noticed.
Trust in this store: a process that alters it can make records unreadable, which `verify` says, and nothing else.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_core.audit.frames import FORMAT
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.trust.files import PRIVATE, write_atomically
from consent_core.trust.providers import KeyProvider

MAX_LINE_BYTES = 8_192


class SegmentCipher:
    """Seals and opens the blocks of one segment under its data key.

    The nonce is the sequence of a block's first record and the key serves one segment of one writer, so no pair is
    used twice.
    """

    def __init__(self, key: bytes, writer: str, segment: int) -> None:
        self._cipher = AESGCM(key)
        self._context = f"{FORMAT}|{writer}|{segment}|".encode()
        self.commitment = hashlib.sha256(b"consent-edge/audit/commitment/v1" + key).hexdigest()

    def seal(self, seq: int, count: int, block: bytes) -> bytes:
        """Ciphertext and tag. AAD: format, writer, segment, sequence of the first record, count."""
        return self._cipher.encrypt(seq.to_bytes(12), block, self._place(seq, count))

    def open(self, seq: int, count: int, sealed: bytes) -> bytes:
        """The block. Raises: Untrusted("audit-record")."""
        try:
            return self._cipher.decrypt(seq.to_bytes(12), sealed, self._place(seq, count))
        except InvalidTag as error:
            raise Untrusted("audit-record", "not sealed under this segment's key at this place") from error

    def _place(self, seq: int, count: int) -> bytes:
        return self._context + seq.to_bytes(12) + count.to_bytes(4)


@dataclass(frozen=True, slots=True)
class SegmentKey:
    """Where a segment begins in its file, and its wrapped data key."""

    segment: int
    offset: int
    wrapped: str


def key_context(writer: str, segment: int) -> str:
    """What a data key is wrapped for."""
    return f"{FORMAT}|{writer}|{segment}"


def new_key(provider: KeyProvider, writer: str, segment: int) -> tuple[SegmentCipher, str]:
    """A fresh data key for a segment: its cipher and its wrapped text. Raises: Unavailable("key-provider")."""
    key = os.urandom(32)
    return SegmentCipher(key, writer, segment), provider.wrap(key, key_context(writer, segment))


def open_key(provider: KeyProvider, writer: str, key: SegmentKey) -> SegmentCipher:
    """The cipher of a segment. Raises: Untrusted("key-unwrap"), Unavailable("key-provider")."""
    return SegmentCipher(provider.unwrap(key.wrapped, key_context(writer, key.segment)), writer, key.segment)


def read_keys(log: Path) -> dict[int, SegmentKey]:
    """The wrapped keys of a log file by segment. Raises: Untrusted("audit-keys")."""
    path = log.with_suffix(".keys")
    if not path.exists():
        return {}
    try:
        lines = [read_json_object(line, MAX_LINE_BYTES) for line in path.read_bytes().splitlines()]
        keys = [SegmentKey(line["segment"], line["offset"], line["wrapped"]) for line in lines]
    except (ConsentEdgeError, KeyError) as error:
        raise Untrusted("audit-keys", f"{path.name} cannot be read") from error
    return {key.segment: key for key in keys}


def write_keys(log: Path, keys: dict[int, SegmentKey]) -> None:
    """Replace the wrapped keys of a log file. The caller holds the directory's lock."""
    lines = [
        canonical_json({"segment": key.segment, "offset": key.offset, "wrapped": key.wrapped}) + b"\n"
        for key in sorted(keys.values(), key=lambda key: key.segment)
    ]
    write_atomically(log.with_suffix(".keys"), b"".join(lines), PRIVATE)
