"""Every signature and every checkpoint of a pack, opened with the trust file: what the checks look at.

    case = open_case(signed, trust, circumstances)
    case.receipts[0].value.ver, case.receipts[0].witnessed, case.problems

What does not open is a problem with its code, and is not among the things that opened: no check meets unverified
content. Keys count at the *witness* time of what they signed, where there is one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from consent_core.errors import ConsentEdgeError, Rejected, Untrusted
from consent_core.evidence import bodies
from consent_core.evidence.pack import Log, Record, SignedPack
from consent_core.formats.attestation import Attestation, open_attestation
from consent_core.formats.canonical import canonical_json
from consent_core.formats.closing import Closing, open_closing
from consent_core.formats.endorsement import Endorsement, open_endorsement
from consent_core.formats.note import OpenedCheckpoint
from consent_core.formats.receipt import Receipt, made_at, open_receipt
from consent_core.formats.seen import Seen
from consent_core.formats.statement import Deletion, PersonStatement, Search, open_statement
from consent_core.formats.token import Key
from consent_core.trust.checkpoints import open_trusted
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import NO_LOG, TrustFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the reader brings: the time, and their own newest receipt and the closing statement where they have them."""

    at: int
    receipt: str | None = None
    closing: str | None = None


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """Something that a record holds. at: the time it gives itself. witnessed: by when witnesses had seen its leaf."""

    value: T
    record: Record
    text: str
    at: int
    witnessed: int | None
    seen: Seen | None = None
    kid: str = ""


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """A log's checkpoints in the pack's order; None for one that did not open."""

    checkpoints: tuple[OpenedCheckpoint | None, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A pack, opened. `problems`: what did not open, with its code."""

    signed: SignedPack
    trust: TrustFile
    circumstances: Circumstances
    own: Receipt | None = None
    closing: Closing | None = None
    logs: tuple[OpenedLog, ...] = ()
    receipts: tuple[Held[Receipt], ...] = ()
    entries: tuple[Held[bodies.LogEntry], ...] = ()
    requests: tuple[Held[Mapping[str, Any]], ...] = ()
    endorsements: tuple[Held[Endorsement], ...] = ()
    attestations: tuple[Held[Attestation], ...] = ()
    searches: tuple[Held[Search], ...] = ()
    deletions: tuple[Held[Deletion], ...] = ()
    lists: tuple[Held[bodies.AttesterList], ...] = ()
    policies: tuple[Held[bodies.PolicyFact], ...] = ()
    problems: tuple[Untrusted, ...] = ()

    @property
    def persons(self) -> tuple[Held[Any], ...]:
        """Everything that is about the person."""
        return (*self.receipts, *self.entries, *self.requests, *self.searches, *self.deletions)

    @property
    def timed(self) -> tuple[Held[Any], ...]:
        """Everything that names the checkpoint it was made after."""
        return (*self.persons, *self.attestations)

    def problems_of(self, *prefixes: str) -> tuple[Untrusted, ...]:
        """What did not open for reasons whose codes begin so."""
        return tuple(problem for problem in self.problems if problem.code.startswith(prefixes))


@dataclass
class _Opening:
    """A case in the making: `case` grows, `problems` too."""

    case: Case
    problems: list[Untrusted] = field(default_factory=list)

    def attempt(self, open_one: Callable[[], T]) -> T | None:
        """What `open_one` gives, or None and one problem more."""
        try:
            return open_one()
        except Untrusted as error:
            self.problems.append(error)
        except ConsentEdgeError as error:
            self.problems.append(Untrusted("evidence-form", error.message))
        return None


def open_case(signed: SignedPack, trust: TrustFile, circumstances: Circumstances) -> Case:
    """Everything in the pack that opens, and why the rest does not."""
    opening = _Opening(Case(signed, trust, circumstances))
    opening.case = replace(opening.case, **_brought(trust, circumstances))
    opening.case = replace(opening.case, logs=tuple(_open_log(opening, log) for log in signed.pack.logs))
    for kind, open_kind in _KINDS:
        records = [record for record in signed.pack.records if record.body.get("kind") == kind]
        for record in records:
            _open_record(opening, record, open_kind)
    for record in signed.pack.records:
        opening.attempt(lambda record=record: bodies.body_kind(record.body))  # type: ignore[misc]
    return replace(opening.case, problems=tuple(opening.problems))


def _brought(trust: TrustFile, circumstances: Circumstances) -> dict[str, Any]:
    """What the reader brings, where it is genuine; the checks that need it say where it is not."""
    apart = _Opening(Case(None, trust, circumstances))  # type: ignore[arg-type]  # its problems are not the pack's
    receipt, closing = circumstances.receipt, circumstances.closing
    return {
        "own": apart.attempt(lambda: open_receipt(receipt, trust, NO_LOG)) if receipt is not None else None,
        "closing": apart.attempt(lambda: open_closing(closing, trust, NO_LOG)) if closing is not None else None,
    }


def _open_log(opening: _Opening, log: Log) -> OpenedLog:
    trust = opening.case.trust
    return OpenedLog(
        tuple(
            opening.attempt(lambda note=note: open_trusted(note.encode(), trust))  # type: ignore[misc]
            for note in log.checkpoints
        )
    )


def _open_record(opening: _Opening, record: Record, open_kind: "_OpenKind") -> None:
    found = opening.attempt(lambda: open_kind(opening.case, record))
    for name, held in found or ():
        grown: dict[str, Any] = {name: (*getattr(opening.case, name), held)}
        opening.case = replace(opening.case, **grown)


_Found = list[tuple[str, Held[Any]]]
_OpenKind = Callable[[Case, Record], _Found]


def _receipt(case: Case, record: Record) -> _Found:
    fields = bodies.person_fields(record.body, "jws", "seen")
    text = fields.text("jws", 8192)
    receipt = open_receipt(text, At(case.trust, _witnessed(case, record)), NO_LOG)
    return [("receipts", _held(case, record, receipt, text, made_at(receipt), bodies.read_seen_of(fields)))]


def _entry(case: Case, record: Record) -> _Found:
    fields = bodies.person_fields(record.body, "entry", "seen")
    entry = bodies.read_entry_shown(fields.mapping("entry"))
    return [("entries", _held(case, record, entry, "", entry.at, bodies.read_seen_of(fields)))]


def _request(case: Case, record: Record) -> _Found:
    fields = bodies.person_fields(record.body, "record", "seen")
    value = fields.mapping("record")
    at = value.get("at", value.get("received_at"))
    if type(at) is not int or type(value.get("received_at")) is not int:
        raise bodies.malformed("a request says when it was received, and when its record was made")
    return [("requests", _held(case, record, value, "", at, bodies.read_seen_of(fields)))]


def _endorsement(case: Case, record: Record) -> _Found:
    envelope = record.body.get("envelope")
    then = At(case.trust, _witnessed(case, record))
    endorsement = open_endorsement(canonical_json(envelope), then, case.signed.pack.made_at, NO_LOG)
    return [("endorsements", _held(case, record, endorsement, "", endorsement.not_before, None))]


def _attestation(case: Case, record: Record) -> _Found:
    signer = _Attester(case, _witnessed(case, record))
    text = str(record.body.get("jws"))
    attestation = open_attestation(text, signer.verify)
    signer.require(attestation.iss)
    held = _held(case, record, attestation, text, attestation.iat, attestation.seen)
    return [("attestations", replace(held, kid=signer.kid))]


def _statements(case: Case, record: Record) -> _Found:
    texts = bodies.person_fields(record.body, "jws").items("jws", bodies.MAX_STATEMENTS)
    return [_statement(case, record, str(text)) for text in texts]


def _statement(case: Case, record: Record, text: str) -> tuple[str, Held[PersonStatement]]:
    signer = _Attester(case, _witnessed(case, record))
    statement = open_statement(text, signer.verify)
    signer.require(statement.iss)
    name = "searches" if isinstance(statement, Search) else "deletions"
    return name, replace(_held(case, record, statement, text, statement.iat, statement.seen), kid=signer.kid)


def _attesters(case: Case, record: Record) -> _Found:
    listed = bodies.read_attesters(record.body)
    return [("lists", _held(case, record, listed, "", listed.at, None))]


def _policy(case: Case, record: Record) -> _Found:
    return [("policies", _held(case, record, bodies.read_policy(record.body), "", 0, None))]


# Endorsements first: attestations and statements are opened with their keys.
_KINDS: tuple[tuple[str, _OpenKind], ...] = (
    ("endorsement", _endorsement),
    ("receipt", _receipt),
    ("revocation", _entry),
    ("request", _request),
    ("attestation", _attestation),
    ("statements", _statements),
    ("attesters", _attesters),
    ("policy", _policy),
)


def _held(case: Case, record: Record, value: T, text: str, at: int, seen: Seen | None) -> Held[T]:
    return Held(value, record, text, at, _witnessed(case, record), seen)


def _witnessed(case: Case, record: Record) -> int | None:
    opened = case.logs[record.log].checkpoints[record.checkpoint]
    return None if opened is None else opened.witness_time


def require_unrevoked(trust: TrustFile, kid: str, at: int | None) -> None:
    """Return if what `kid` signed, and witnesses had seen at `at`, counts; without a witness no revoked key counts.

    Raises: Untrusted("trust-key-revoked").
    """
    revoked = trust.revoked.get(kid)
    if revoked is not None and (at is None or at >= revoked):
        raise Untrusted("trust-key-revoked", "the key was revoked by then")


@dataclass(frozen=True, slots=True)
class At:
    """The trust file, asked about the moment by which witnesses had seen something.

    Without a witness the time that a text gives itself decides, and then no revoked key counts at all: who has stolen
    a key dates what it signs.
    """

    trust: TrustFile
    at: int | None

    def keys(self, role: str, now: int | None = None) -> tuple[Key, ...]:
        """The keys of a role."""
        return self.trust.keys(role, now)

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """As the trust file's own. Raises: Untrusted("trust-…")."""
        gone = revoked if self.at is not None else frozenset({*revoked, *self.trust.revoked})
        self.trust.verify(role, kid, message, signature, now if self.at is None else self.at, gone)


class _Attester:
    """Verifies by the endorsed key that a text names, and then holds the text's issuer against that key's owner."""

    def __init__(self, case: Case, at: int | None) -> None:
        self._case, self._at = case, at
        self.kid = ""

    def verify(self, kid: str, message: bytes, signature: bytes) -> None:
        """Raises: Untrusted("attester-unknown" | "trust-…")."""
        found = self._found(kid)
        if self._at is not None and not found.valid_at(self._at):
            raise Untrusted("trust-key-expired", "the attester's key was not valid at that time")
        require_unrevoked(self._case.trust, kid, self._at)
        try:
            verify_signature("ed25519", found.key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", "not signed by the attester's key it names") from error
        self.kid = kid

    def require(self, issuer: str) -> None:
        """Raises: Untrusted("attestation-issuer")."""
        if self._found(self.kid).spiffe_id != issuer:
            raise Untrusted("attestation-issuer", "signed by the key of another place")

    def _found(self, kid: str) -> Endorsement:
        for held in self._case.endorsements:
            if held.value.kid == kid:
                return held.value
        raise Untrusted("attester-unknown", "no endorsement of that key")
