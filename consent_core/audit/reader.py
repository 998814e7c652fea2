"""Opens a trail for a caller that may use the key provider.

for record in read_records(data / "audit" / "edge" / "tokyo-1", provider):
    record.seq, record.fields, record.person
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent_core.audit.batches import Batch
from consent_core.audit.journal import found_journal
from consent_core.audit.segments import SegmentCipher, SegmentKey, open_key, read_keys
from consent_core.audit.trail import BrokenTrail, Placed, Walk
from consent_core.audit.visitors import VisitorKeys
from consent_core.errors import Untrusted
from consent_core.trust.providers import KeyProvider


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record, opened. `person`: None if it is about no person, or if that visitor was shredded (`shredded`)."""

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

    def open(self, placed: Placed) -> list[dict[str, Any]]:
        """The fields of a block's records. Raises: BrokenTrail."""
        assert self._cipher is not None
        frame = placed.frame
        try:
            block = self._cipher.open(frame.number, frame.count, frame.body)
            return [json.loads(record) for record in Batch.from_bytes(frame.number, frame.count, block).records()]
        except Untrusted as error:
            raise BrokenTrail(error.code, error.message, placed.file, placed.header.segment, frame.number) from error


def read_records(directory: Path, provider: KeyProvider) -> Iterator[AuditRecord]:
    """Every record in order, up to the first bad one; those that still wait to be sealed come last.

    Raises: BrokenTrail, Untrusted("key-unwrap"), Unavailable("key-provider" | "audit-unwritable").
    """
    (waiting, unreadable), walk, visitors = found_journal(directory), Walk(directory), None
    opener = Opener(provider)
    try:
        for placed in walk:
            if placed.frame.is_header:
                opener.enter(placed)
                visitors = visitors or VisitorKeys(directory, placed.header.writer, provider)
            else:
                assert visitors is not None
                for seq, fields in enumerate(opener.open(placed), placed.frame.number):
                    yield _record(placed.header.writer, placed.header.segment, seq, fields, visitors)
        if visitors is not None and walk.header is not None:
            for batch in waiting.after(walk.seq):
                for seq, body in enumerate(batch.records(), batch.first):
                    yield _record(walk.header.writer, walk.segment, seq, json.loads(body), visitors)
        if unreadable is not None:
            raise unreadable
    finally:
        if visitors is not None:
            visitors.close()


def read_span(directory: Path, provider: KeyProvider, start: str, end: str) -> Iterator[AuditRecord]:
    """The records after head `start` up to head `end`, both as reported: `<sequence>:<chain>`.

    Raises: as `read_records`, and Untrusted("head-mismatch") if the trail has not, or does not reach, these heads.
    """
    (first, _), (last, _) = heads = _head(start), _head(end)
    met: set[tuple[int, str]] = {(0, _head(start)[1])} if first == 0 else set()
    walk, opener, visitors = Walk(directory, first), Opener(provider), None
    try:
        for placed in walk:
            if placed.frame.number > last and not placed.frame.is_header:
                break
            if placed.frame.is_header:
                opener.enter(placed)
                visitors = visitors or VisitorKeys(directory, placed.header.writer, provider)
            elif placed.frame.last > first:
                assert visitors is not None
                for seq, fields in enumerate(opener.open(placed), placed.frame.number):
                    if first < seq <= last:
                        yield _record(placed.header.writer, placed.header.segment, seq, fields, visitors)
            met.add((walk.seq, walk.chain.hex()))
    finally:
        if visitors is not None:
            visitors.close()
    if not set(heads) <= met:
        raise Untrusted("head-mismatch", "the trail has not the heads that were reported")


def _head(text: str) -> tuple[int, str]:
    seq, _, chain = text.partition(":")
    return int(seq), chain


def _record(writer: str, segment: int, seq: int, fields: dict[str, Any], visitors: VisitorKeys) -> AuditRecord:
    sealed, at = fields.pop("person", None), fields.pop("at")
    person = visitors.open(sealed) if sealed else None
    return AuditRecord(writer, segment, seq, at, fields, person, sealed is not None and person is None)
