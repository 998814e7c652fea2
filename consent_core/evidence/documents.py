"""What a file holds, in the order of the ledger: one line a document, for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.evidence.bodies import AttesterList, LogEntry, PolicyFact
from consent_core.evidence.opening import Case, Held
from consent_core.evidence.sentences import plain
from consent_core.formats.attestation import Attestation
from consent_core.formats.endorsement import Endorsement
from consent_core.formats.receipt import Receipt
from consent_core.formats.revocation import EVERY_VERSION
from consent_core.formats.statement import Deletion, Search


@dataclass(frozen=True, slots=True)
class Document:
    """One document that opened. at: the time it gives itself. witnessed: by when witnesses had seen its leaf."""

    kind: str
    said: str
    at: int
    witnessed: int | None
    index: int


def documents_of(case: Case) -> tuple[Document, ...]:
    """Every document of the file that opened."""
    held = (*case.persons, *case.attestations, *case.endorsements, *case.lists, *case.policies)
    return tuple(_document(one) for one in sorted(held, key=lambda one: (one.record.index, one.at)))


def _document(held: Held[object]) -> Document:
    kind = str(held.record.body.get("kind"))
    return Document(plain(kind), plain(_said(held.value)), held.at, held.witnessed, held.record.index)


def _said(value: object) -> str:
    match value:
        case Receipt():
            effective = [purpose.purpose for purpose in value.purposes if purpose.effective]
            return f"version {value.ver} at {value.region}: in effect {', '.join(effective) or 'nothing'}"
        case LogEntry():
            bound = "every version" if value.ver == EVERY_VERSION else f"what is below version {value.ver}"
            return f"entry {value.seq} ({value.kind}) takes {', '.join(value.categories)} from {bound}"
        case Attestation():
            return f"{value.place} {value.kind} {value.life}.{value.n}: log applied through {value.log.position}"
        case Search():
            return f"{value.place} searched {value.records} records: {value.personalised_after} personal after the no"
        case Deletion():
            rows, left = sum(value.deleted.values()), sum(value.remaining.values())
            return f"{value.place} deleted {rows} rows, {left} remain"
        case AttesterList():
            return f"list {value.n}: {', '.join((*value.places, *value.portable))}"
        case Endorsement():
            return f"the key {value.kid} is that of {value.spiffe_id}"
        case PolicyFact():
            return f"rules {value.hash}, revision {value.revision}"
        case Mapping():
            return f"request {value.get('id')}: {value.get('kind')}"
    return ""
