"""Where leaves lie in the public ledger, and what shows it: checkpoints, inclusion, growth.

    proven = prove(ledger, origin, openings, seen)
    proven.log, proven.records

Each record points to the first cosigned checkpoint that held its leaf; every checkpoint that a body was made after is
there too, and a proof from each to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from consent_core.errors import Unavailable
from consent_core.evidence.pack import Log, Record
from consent_core.formats.leaf import read_leaf
from consent_core.formats.seen import NONE, Seen
from consent_core.formats.tile import TileHashes
from consent_core.formats.tlog import consistency_path, inclusion_path
from control_plane.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Opening:
    """A body, the salt that opens its leaf (empty where the body is public), and the leaf."""

    body: Mapping[str, Any]
    salt: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """The ledger's part of a file, and its records."""

    log: Log
    records: tuple[Record, ...]


def prove(ledger: Ledger, origin: str, openings: Sequence[Opening], seen: Iterable[Seen]) -> Proven:
    """Everything that shows where these leaves lie.

    Raises: Unavailable("evidence-early") while one of them is in no cosigned checkpoint: the next beat may hold it.
    """
    commitments = [read_leaf(opening.leaf).commitment for opening in openings]
    places = ledger.store.places(commitments)
    if len(places) < len(set(commitments)):
        raise _early(len(set(commitments)) - len(places))
    notes = _notes(ledger, places.values(), seen)
    sizes = sorted(notes)
    records = tuple(
        _record(ledger, opening, places[key], sizes) for opening, key in zip(openings, commitments, strict=True)
    )
    proofs = tuple(tuple(consistency_path(one, other, _hashes(ledger, other))) for one, other in pairwise(sizes))
    log = Log(origin, tuple(notes[size].decode() for size in sizes), proofs)
    return Proven(log, tuple(sorted(records, key=lambda record: record.index)))


def _notes(ledger: Ledger, indexes: Iterable[int], seen: Iterable[Seen]) -> dict[int, bytes]:
    notes: dict[int, bytes] = {}
    for index in set(indexes):
        found = ledger.store.checkpoints.above(index)
        if found is None:
            raise _early(1)
        notes[found[0]] = found[1]
    for one in set(seen) - {NONE}:
        note = ledger.store.checkpoints.of(one.size)
        if note is not None:
            notes[one.size] = note
    return notes


def _record(ledger: Ledger, opening: Opening, index: int, sizes: Sequence[int]) -> Record:
    number = next(number for number, size in enumerate(sizes) if size > index)
    proof = tuple(inclusion_path(index, sizes[number], _hashes(ledger, sizes[number])))
    return Record(opening.body, opening.salt, opening.leaf, index, 0, number, proof)


def _hashes(ledger: Ledger, size: int) -> TileHashes:
    return TileHashes(size, ledger.public.read)


def _early(count: int) -> Unavailable:
    return Unavailable("evidence-early", f"{count} documents are in no cosigned checkpoint yet: ask again after a beat")
