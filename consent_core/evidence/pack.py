"""The evidence file: one canonical JSON object, signed as a whole by role `attestation`.

    data = sign_pack(pack, keys.current("attestation"))
    signed = read_pack(data);   signed.pack == pack

Wire format: `docs/formats/evidence-pack.md`. Reading judges the form alone; what the file shows is judged by the
checks. Each record is a body, the salt that opens its leaf, and the leaf's proof in the first checkpoint that held it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object, sha256_digest
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

FORMAT = "consent-edge/evidence/v1"
ROLE = "attestation"
QUESTIONS = ("consent", "enforcement", "deletion")
MAX_PACK_BYTES = 33_554_432
MAX_RECORDS = 16_384
MAX_DEPTH = 16
MAX_CHECKPOINTS = 16_384
MAX_PROOF = 64  # hashes: a tree of 2^63 leaves needs no more

_DOMAIN = b"consent-edge/evidence/v1\0"
_PERSON = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PACK = ("format", "request", "subject", "question", "logs", "records", "parties", "texts", "open", "left", "made_at")
_RECORD = ("body", "salt", "leaf", "index", "log", "checkpoint", "proof")


@dataclass(frozen=True, slots=True)
class Log:
    """One ledger's checkpoints by size, and between each and the next the hashes that show that it only grew."""

    origin: str
    checkpoints: tuple[str, ...]
    consistency: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A body, and its leaf at `index` of the ledger. `salt` is empty for a body that is public."""

    body: Mapping[str, Any]
    salt: bytes
    leaf: bytes
    index: int
    log: int
    checkpoint: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Parties:
    """Who had to act: POPs and control planes by name, devices by their number."""

    pops: tuple[str, ...] = ()
    control_planes: tuple[str, ...] = ()
    devices: int = 0
    releases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """What the file says. texts: clause texts by digest. open: steps not done. left: what stays, in words."""

    subject: str
    question: str
    logs: tuple[Log, ...]
    records: tuple[Record, ...]
    parties: Parties
    texts: Mapping[str, str]
    made_at: int
    open: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    request: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SignedPack:
    """A pack as it was read. `digest`: SHA-256 of the file. `message`: what `signature` is over, by key `kid`."""

    pack: Pack
    kid: str
    signature: bytes
    message: bytes
    digest: str


def sign_pack(pack: Pack, signer: Signer) -> bytes:
    """The bytes of the file."""
    value = {**pack_value(pack), "kid": signer.kid}
    return canonical_json({**value, "signature": encode_base64url(signer.sign(_DOMAIN + canonical_json(value)))})


def pack_value(pack: Pack) -> dict[str, Any]:
    """The JSON value without key id and signature."""
    return {
        "format": FORMAT,
        "request": None if pack.request is None else dict(pack.request),
        "subject": pack.subject,
        "question": pack.question,
        "logs": [_log_value(log) for log in pack.logs],
        "records": [_record_value(record) for record in pack.records],
        "parties": {
            "pops": list(pack.parties.pops),
            "control_planes": list(pack.parties.control_planes),
            "devices": pack.parties.devices,
            "releases": list(pack.parties.releases),
        },
        "texts": dict(pack.texts),
        "open": list(pack.open),
        "left": list(pack.left),
        "made_at": pack.made_at,
    }


def read_pack(data: bytes) -> SignedPack:
    """The file in its one spelling. Raises: Untrusted("evidence-form")."""
    value = _parsed(data)
    fields = Fields(value, _form, (*_PACK, "kid", "signature"))
    fields.one_of("format", (FORMAT,))
    signed = canonical_json({name: item for name, item in value.items() if name != "signature"})
    signature = _bytes(fields.text("signature"))
    return SignedPack(_read(fields), fields.text("kid"), signature, _DOMAIN + signed, sha256_digest(data))


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = read_json_object(data, MAX_PACK_BYTES)
        canonical = canonical_json(value)
    except (Untrusted, ValueError, RecursionError) as error:
        raise _form("not JSON of the agreed form") from error
    if canonical != data:
        raise _form("not in its one canonical spelling")
    _require_shallow(value, MAX_DEPTH)
    return value


def _require_shallow(value: object, depth: int) -> None:
    if depth == 0:
        raise _form(f"nested deeper than {MAX_DEPTH}")
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, dict | list):
            _require_shallow(item, depth - 1)


def _read(fields: Fields) -> Pack:
    logs = tuple(_log(item) for item in fields.items("logs", 8))
    return Pack(
        subject=fields.matching("subject", _PERSON),
        question=fields.one_of("question", QUESTIONS),
        logs=logs,
        records=tuple(_record(item, logs) for item in fields.items("records", MAX_RECORDS)),
        parties=_parties(fields.mapping("parties")),
        texts=_clauses(fields.mapping("texts")),
        made_at=fields.number("made_at"),
        open=_texts(fields, "open"),
        left=_texts(fields, "left"),
        request=None if fields.absent("request") else fields.mapping("request"),
    )


def _log(value: object) -> Log:
    fields = Fields(value, _form, ("origin", "checkpoints", "consistency"))
    checkpoints = _strings(fields, "checkpoints", MAX_CHECKPOINTS, 65_536)
    consistency = tuple(_hashes(item) for item in fields.items("consistency", MAX_CHECKPOINTS))
    if len(consistency) != max(0, len(checkpoints) - 1):
        raise _form("consistency: expected one proof between each checkpoint and the next")
    return Log(fields.text("origin", 256), checkpoints, consistency)


def _record(value: object, logs: tuple[Log, ...]) -> Record:
    fields = Fields(value, _form, _RECORD)
    log, checkpoint = fields.number("log"), fields.number("checkpoint")
    if log >= len(logs) or checkpoint >= len(logs[log].checkpoints):
        raise _form("a record points to a checkpoint that is not here")
    return Record(
        body=fields.mapping("body"),
        salt=_salt(fields),
        leaf=canonical_json(fields.mapping("leaf")),
        index=fields.number("index"),
        log=log,
        checkpoint=checkpoint,
        proof=_hashes(fields.items("proof", MAX_PROOF)),
    )


def _salt(fields: Fields) -> bytes:
    return b"" if fields.absent("salt") else _bytes(fields.text("salt", 64))


def _parties(value: object) -> Parties:
    fields = Fields(value, _form, ("pops", "control_planes", "devices", "releases"))
    return Parties(
        _texts(fields, "pops", 4096),
        _texts(fields, "control_planes", 64),
        fields.number("devices"),
        _texts(fields, "releases", 4096),
    )


def _clauses(value: Mapping[str, Any]) -> dict[str, str]:
    for digest, text in value.items():
        if not _DIGEST.fullmatch(digest) or not isinstance(text, str):
            raise _form("texts: expected clause texts by digest")
    return dict(value)


def _texts(fields: Fields, name: str, limit: int = 256) -> tuple[str, ...]:
    """Texts for people: nothing in them moves a terminal's cursor or turns the direction of writing."""
    items = _strings(fields, name, limit, 1024)
    if not all(item.isprintable() for item in items):
        raise _form(f"{name}: expected printable texts")
    return items


def _strings(fields: Fields, name: str, limit: int, length: int) -> tuple[str, ...]:
    items = fields.items(name, limit)
    if not all(isinstance(item, str) and 0 < len(item) <= length for item in items):
        raise _form(f"{name}: expected texts")
    return tuple(items)


def _hashes(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_PROOF * 2 or not all(isinstance(item, str) for item in value):
        raise _form("expected a list of hashes")
    return tuple(_bytes(item) for item in value)


def _bytes(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except Rejected as error:
        raise _form("not base64url") from error


def _log_value(log: Log) -> dict[str, Any]:
    proofs = [[encode_base64url(item) for item in proof] for proof in log.consistency]
    return {"origin": log.origin, "checkpoints": list(log.checkpoints), "consistency": proofs}


def _record_value(record: Record) -> dict[str, Any]:
    return {
        "body": dict(record.body),
        "salt": encode_base64url(record.salt) if record.salt else None,
        "leaf": read_json_object(record.leaf, 4096),
        "index": record.index,
        "log": record.log,
        "checkpoint": record.checkpoint,
        "proof": [encode_base64url(item) for item in record.proof],
    }


def _form(message: str) -> Untrusted:
    return Untrusted("evidence-form", message)
