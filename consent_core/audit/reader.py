"""Opens a trail for whoever may use the key provider.

for record in read_records(data / "audit" / "edge" / "tokyo-1", provider):
    record.seq, record.fields, record.person
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent_core.audit.segments import SegmentCipher, SegmentKey, open_key, read_keys
from consent_core.audit.trail import BrokenTrail, Placed, Walk
from consent_core.audit.visitors import VisitorKeys
from consent_core.errors import Untrusted
from consent_core.trust.providers import KeyProvider


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record, opened. `person`: None if it names nobody, or if that visitor was shredded (`shredded`)."""

    writer: str
    segment: int
    seq: int
    at: int
    fields: dict[str, Any]
    person: dict[str, Any] | None = None
    shredded: bool = False


class Opener:
    """Opens the records of one trail, segment after segment."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._cipher: SegmentCipher | None = None
        self._keys: tuple[Path, dict[int, SegmentKey]] | None = None

    def enter(self, placed: Placed) -> None:
        """Get the data key of a segment. Raises: BrokenTrail, Unavailable("key-provider")."""
        header = placed.header
        try:
            if self._keys is None or self._keys[0] != placed.file:
                self._keys = placed.file, read_keys(placed.file)
            key = self._keys[1].get(header.segment)
            if key is None:
                raise Untrusted("audit-keys", "the segment's key is missing")
            cipher = open_key(self._provider, header.writer, key)
            if cipher.commitment != header.commitment:
                raise Untrusted("audit-keys", "the segment was sealed under another key")
        except Untrusted as error:
            raise BrokenTrail(error.code, error.message, placed.file, header.segment, header.first_seq) from error
        self._cipher = cipher

    def open(self, placed: Placed) -> dict[str, Any]:
        """The fields of one record. Raises: BrokenTrail."""
        assert self._cipher is not None
        seq = placed.frame.number
        try:
            value: dict[str, Any] = json.loads(self._cipher.open(seq, placed.frame.body))
        except Untrusted as error:
            raise BrokenTrail(error.code, error.message, placed.file, placed.header.segment, seq) from error
        return value


def read_records(directory: Path, provider: KeyProvider) -> Iterator[AuditRecord]:
    """Every record in order, up to the first bad one.

    Raises: BrokenTrail, Untrusted("key-unwrap"), Unavailable("key-provider").
    """
    opener, visitors = Opener(provider), None
    try:
        for placed in Walk(directory):
            if placed.frame.is_header:
                opener.enter(placed)
                visitors = visitors or VisitorKeys(directory, placed.header.writer, provider)
            else:
                assert visitors is not None
                yield _record(placed, opener.open(placed), visitors)
    finally:
        if visitors is not None:
            visitors.close()


def _record(placed: Placed, fields: dict[str, Any], visitors: VisitorKeys) -> AuditRecord:
    sealed, at = fields.pop("person", None), fields.pop("at")
    person = visitors.open(sealed) if sealed else None
    header = placed.header
    return AuditRecord(
        header.writer, header.segment, placed.frame.number, at, fields, person, sealed is not None and person is None
    )
