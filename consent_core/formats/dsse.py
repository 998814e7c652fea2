"""Signed envelopes: bytes of a named type, signed so that the type cannot be swapped.

    envelope = sign_statement("application/vnd.in-toto+json", payload, store.current("component"))
    payload = open_statement(envelope, "application/vnd.in-toto+json", trust, "component", now, revoked)

Wire format: `docs/formats/dsse.md`. What the payload means is left to its reader; `Statement` is the in-toto
shape most payloads take: subjects by digest, and one predicate about them.

Source: DSSE 1.0 (github.com/secure-systems-lab/dsse, protocol.md), in-toto Attestation Framework, Statement v1.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from consent_core.errors import Untrusted
from consent_core.formats.base64_text import read_base64, write_base64
from consent_core.formats.canonical import canonical_json, read_json_object

MAX_ENVELOPE_BYTES = 4_194_304  # 4 MiB: a manifest of ten thousand files fits
MAX_SIGNATURES = 16
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Signer(Protocol):
    """A signer: it holds a private key."""

    @property
    def kid(self) -> str:
        """The id a verifier finds the public key by."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes (ed25519, or r and s of es256)."""
        ...


class Verifier(Protocol):
    """What knows the public keys of each role: the trust file."""

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if `kid` of `role`, valid at `now` and not `revoked`, signed `message`. Raises: Untrusted."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto statement: `subjects` (name -> sha256 digest) and one predicate about all of them."""

    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Canonical JSON, subjects by name."""
        return canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [
                    {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
                    for name, digest in sorted(self.subjects.items())
                ],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes, predicate_type: str) -> "Statement":
        """The statement in a payload already verified. Raises: Untrusted("statement-malformed")."""
        value = read_json_object(payload, MAX_ENVELOPE_BYTES)
        if value.keys() != {"_type", "subject", "predicateType", "predicate"} or value["_type"] != STATEMENT_TYPE:
            raise Untrusted("statement-malformed", "not an in-toto Statement v1")
        if value["predicateType"] != predicate_type:
            raise Untrusted("statement-malformed", f"expected a predicate of type {predicate_type}")
        if not isinstance(value["predicate"], dict):
            raise Untrusted("statement-malformed", "the predicate is not an object")
        return cls(_subjects(value["subject"]), predicate_type, value["predicate"])


def sign_statement(payload_type: str, payload: bytes, signer: Signer) -> bytes:
    """An envelope around `payload`, signed by one key."""
    signature = signer.sign(pre_authentication_encoding(payload_type, payload))
    return canonical_json(
        {
            "payloadType": payload_type,
            "payload": write_base64(payload),
            "signatures": [{"keyid": signer.kid, "sig": write_base64(signature)}],
        }
    )


def open_statement(
    envelope: bytes, payload_type: str, trust: Verifier, role: str, now: int, revoked: frozenset[str]
) -> bytes:
    """The payload, if it is of this type and a key of this role signed it.

    The key must be valid at `now` (Unix seconds) and not be among the `revoked`.
    Raises: Untrusted("dsse-malformed" | "dsse-type"), and the verifier's own refusal of the last signature.
    """
    value = read_json_object(envelope, MAX_ENVELOPE_BYTES)
    if value.keys() != {"payloadType", "payload", "signatures"}:
        raise Untrusted("dsse-malformed", "expected exactly payloadType, payload and signatures")
    if value["payloadType"] != payload_type:
        raise Untrusted("dsse-type", f"expected {payload_type}")
    payload = read_base64(value["payload"], _malformed)
    message, signatures = pre_authentication_encoding(payload_type, payload), _signatures(value["signatures"])
    _verify_one(signatures, lambda kid, signature: trust.verify(role, kid, message, signature, now, revoked))
    return payload


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed: both parts with their lengths, so that neither can flow into the other."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verify_one(signatures: list[tuple[str, bytes]], verify: Callable[[str, bytes], None]) -> None:
    """One good signature is enough: others may be by keys this verifier does not know yet."""
    refusal = Untrusted("dsse-malformed", "no signature")
    for kid, signature in signatures:
        try:
            return verify(kid, signature)
        except Untrusted as error:
            refusal = error
    raise refusal


def _signatures(value: Any) -> list[tuple[str, bytes]]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise Untrusted("dsse-malformed", f"expected 1 to {MAX_SIGNATURES} signatures")
    return [_signature(entry) for entry in value]


def _signature(entry: Any) -> tuple[str, bytes]:
    if not isinstance(entry, dict) or entry.keys() != {"keyid", "sig"} or not isinstance(entry["keyid"], str):
        raise Untrusted("dsse-malformed", "a signature is exactly keyid and sig")
    return entry["keyid"], read_base64(entry["sig"], _malformed)


def _subjects(value: Any) -> dict[str, str]:
    if not isinstance(value, list):
        raise Untrusted("statement-malformed", "subject: expected a list")
    subjects: dict[str, str] = {}
    for entry in value:
        name, digest = _subject(entry)
        if name in subjects:
            raise Untrusted("statement-malformed", f"{name} is named twice")
        subjects[name] = digest
    return subjects


def _subject(entry: Any) -> tuple[str, str]:
    try:
        name, digest = entry["name"], f"sha256:{entry['digest']['sha256']}"
    except (KeyError, TypeError) as error:
        raise Untrusted("statement-malformed", "a subject is a name and a sha256 digest") from error
    if not isinstance(name, str) or not _DIGEST.fullmatch(digest):
        raise Untrusted("statement-malformed", "a subject is a name and a sha256 digest")
    return name, digest


def _malformed(message: str) -> Untrusted:
    return Untrusted("dsse-malformed", message)
