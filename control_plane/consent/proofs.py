"""Grant proofs: what the store knew of a yes, signed for the POP that keeps it, and read again after a restore."""

from dataclasses import dataclass, fields
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.consent import ConsentRequest
from consent_core.formats.fields import Fields
from consent_core.formats.grant_proof import GrantProof, sign_proof
from consent_core.formats.session import stored
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from control_plane.consent.changes import NOTHING_SAID, STATES, Word, Words
from control_plane.consent.records import Record, Visitor
from control_plane.consent.tokens import sign_jws

_LEFT_OUT = ("sub", "receipt", "words")  # in the proof; not needed; spelt its own way there


@dataclass(frozen=True, slots=True)
class Proofs:
    """Signs grant proofs of one store."""

    keys: KeyStore

    def issue(self, request: ConsentRequest, visitor: Visitor, record: Record, at: int) -> str:
        """The proof of one grant, also of one of which nothing counted. `record`: the newest version."""
        proof = GrantProof(
            key=request.key,
            number=request.number,
            grant=request.grant,
            at=at,
            predecessor=_hash(request.session),
            session=request.next_session,
            withdraw=request.next_withdraw,
            sub=record.sub,
            record_id=visitor.record_id,
            retain_until=visitor.retain_until,
            record=record_value(record),
        )
        return sign_proof(proof, lambda payload, typ: sign_jws(payload, typ, self.keys.current("log")))


def record_value(record: Record) -> dict[str, Any]:
    """A record in the store's own members, as JSON."""
    value = {field.name: getattr(record, field.name) for field in fields(Record) if field.name not in _LEFT_OUT}
    words = {category: [word.state, word.at, word.since] for category, word in record.words.items()}
    return {**value, "categories": list(record.categories), "notice": dict(record.notice), "words": words}


def record_of(proof: GrantProof) -> Record:
    """The record that a proof was made of, without its receipt. Raises: Untrusted("proof-malformed")."""
    names = [field.name for field in fields(Record) if field.name not in ("sub", "receipt")]
    value = Fields(proof.record, _malformed, names)
    try:
        members = {name: proof.record[name] for name in names}
        members |= {"categories": tuple(value.categories("categories")), "words": _words(value.mapping("words"))}
        return Record(sub=proof.sub, receipt="", **members)
    except (TypeError, ValueError) as error:
        raise _malformed("the record is not of the agreed form") from error


def _words(value: dict[str, Any]) -> Words:
    words = {
        category: Word(*value[category]) if category in value else NOTHING_SAID[category] for category in CATEGORIES
    }
    if not all(word.state in STATES and type(word.at) is type(word.since) is int for word in words.values()):
        raise _malformed("words: expected state, number and version of each category")
    return words


def _hash(credential: str | None) -> str | None:
    return None if credential is None else stored(credential)


def _malformed(message: str) -> Untrusted:
    return Untrusted("proof-malformed", message)
