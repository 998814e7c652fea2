"""What a record may be about: the bodies that leaves commit to, read strictly, their signatures not yet checked.

    receipt      {kind, jws, seen, subject}             revocation   {kind, entry, seen, subject}
    statements   {kind, jws: […], subject}              request      {kind, record, seen, subject}
    attestation  {kind, jws}                            endorsement  {kind, envelope}
    attesters    {kind, n, at, places, portable}        policy       {kind, hash, revision, files, approval}

The first four are about a person: their leaf says nothing, and their `subject` is the one that the thing inside names.
`*_body` functions make what `read_*` functions read, so that who writes a leaf and who opens it agree.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.fields import Fields
from consent_core.formats.revocation import EFFECTS
from consent_core.formats.seen import Seen, read_seen

PERSON_KINDS = ("receipt", "revocation", "statements", "request")
FACT_KINDS = ("attestation", "endorsement", "attesters", "policy")
MAX_STATEMENTS = 4096  # of one request and step, in one leaf
MAX_PLACES = 4096
MAX_FILES = 1024  # of a policy bundle

_PERSON = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"(?:edge|control-plane|device)/[A-Za-z0-9._-]{1,128}")
_ENTRY = ("seq", "kind", "subject", "categories", "ver", "at", "effect")
_ENTRY_LATER = ("salt", "said")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the revocation log about a person, as evidence shows it: without the chain hash `prev`."""

    seq: int
    kind: str
    subject: str
    categories: tuple[str, ...]
    ver: int
    at: int


@dataclass(frozen=True, slots=True)
class AttesterList:
    """List `n` of who must attest, from Unix time `at` on. portable: edges that keep nothing and do not attest."""

    n: int
    at: int
    places: tuple[str, ...]
    portable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """A policy by its hash: the digests of its files, which make the hash, and the approval among them (JWS)."""

    hash: str
    revision: int
    files: Mapping[str, str]
    approval: str


def receipt_body(jws: str, seen: Seen, subject: str) -> bytes:
    """The body of a receipt's leaf."""
    return canonical_json({"kind": "receipt", "jws": jws, "seen": seen.text, "subject": subject})


def revocation_body(entry: Mapping[str, Any], seen: Seen) -> bytes:
    """The body of a revocation entry's leaf; `prev` is always left out."""
    shown = {name: value for name, value in entry.items() if name != "prev"}
    return canonical_json({"kind": "revocation", "entry": shown, "seen": seen.text, "subject": entry["subject"]})


def statements_body(jws: Iterable[str], subject: str) -> bytes:
    """The body of the leaf that all statements of one request and step share."""
    return canonical_json({"kind": "statements", "jws": list(jws), "subject": subject})


def request_body(record: Mapping[str, Any], seen: Seen, subject: str) -> bytes:
    """The body of a request record's leaf."""
    return canonical_json({"kind": "request", "record": dict(record), "seen": seen.text, "subject": subject})


def attestation_body(jws: str) -> bytes:
    """The body of an attestation's leaf."""
    return canonical_json({"kind": "attestation", "jws": jws})


def endorsement_body(envelope: Mapping[str, Any]) -> bytes:
    """The body of an endorsement's leaf."""
    return canonical_json({"kind": "endorsement", "envelope": dict(envelope)})


def attesters_body(listed: AttesterList) -> bytes:
    """The body of a public list; its commitment has no salt."""
    places = {"places": list(listed.places), "portable": list(listed.portable)}
    return canonical_json({"kind": "attesters", "n": listed.n, "at": listed.at, **places})


def policy_body(policy: PolicyFact) -> bytes:
    """The body of a policy's leaf."""
    value = {"hash": policy.hash, "revision": policy.revision, "files": dict(policy.files)}
    return canonical_json({"kind": "policy", **value, "approval": policy.approval})


def body_kind(body: Mapping[str, Any]) -> str:
    """Raises: Untrusted("evidence-form")."""
    kind = body.get("kind")
    if kind not in (*PERSON_KINDS, *FACT_KINDS):
        raise malformed("a record of an unknown kind")
    return str(kind)


def person_fields(body: Mapping[str, Any], *members: str) -> Fields:
    """A person body with these members besides kind and subject. Raises: Untrusted("evidence-form")."""
    fields = Fields(body, malformed, ("kind", "subject", *members))
    fields.matching("subject", _PERSON)
    return fields


def read_entry_shown(value: object) -> LogEntry:
    """An entry about a person. Raises: Untrusted("evidence-form")."""
    fields = Fields(value, malformed, _ENTRY, _ENTRY_LATER)
    kind = fields.one_of("kind", ("session", "purge"))
    fields.one_of("effect", (EFFECTS[kind],))
    return LogEntry(
        seq=fields.number("seq"),
        kind=kind,
        subject=fields.matching("subject", _PERSON),
        categories=fields.categories("categories"),
        ver=fields.number("ver"),
        at=fields.number("at"),
    )


def read_attesters(body: Mapping[str, Any]) -> AttesterList:
    """A public list. Raises: Untrusted("evidence-form")."""
    fields = Fields(body, malformed, ("kind", "n", "at", "places", "portable"))
    return AttesterList(fields.number("n"), fields.number("at"), _places(fields, "places"), _places(fields, "portable"))


def read_policy(body: Mapping[str, Any]) -> PolicyFact:
    """A policy's files and approval. Raises: Untrusted("evidence-form")."""
    fields = Fields(body, malformed, ("kind", "hash", "revision", "files", "approval"))
    files = fields.mapping("files")
    if len(files) > MAX_FILES or not all(
        isinstance(digest, str) and _HEX.fullmatch(digest) for digest in files.values()
    ):
        raise malformed("files: expected digests by path")
    return PolicyFact(fields.matching("hash", _DIGEST), fields.number("revision"), files, fields.text("approval"))


def read_seen_of(fields: Fields) -> Seen:
    """The checkpoint that a body's maker knew. Raises: Untrusted("evidence-form")."""
    return read_seen(fields.text("seen"), malformed)


def malformed(message: str) -> Untrusted:
    """A body that is not of its form."""
    return Untrusted("evidence-form", message)


def _places(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name, MAX_PLACES)
    if not all(isinstance(item, str) and _PLACE.fullmatch(item) for item in items) or items != sorted(set(items)):
        raise malformed(f"{name}: expected places in order")
    return tuple(items)
