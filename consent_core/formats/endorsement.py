"""An endorsement: the control plane's signature that a key is one workload's own attester key, for a time.

    envelope = sign_endorsement(Endorsement(spiffe_id, kid, key, not_before, not_after), keys.current("attestation"))
    endorsement = open_endorsement(envelope, trust, clock.now(), NO_LOG)
    endorsement.verify(message, signature, at)

Wire format: `docs/formats/endorsement.md`. A DSSE envelope by role `attestation`. The signature check itself is an
argument: formats import no cryptography.
"""

import hashlib
from dataclasses import asdict, dataclass

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.attestation import ISSUER, KID
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.dsse import Signer, Verifier, open_statement, sign_statement
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

TYPE = "application/vnd.consent-edge.endorsement+json"
ROLE = "attestation"
MAX_ENDORSEMENT_BYTES = 4096
KEY_BYTES = 32

_MEMBERS = ("spiffe_id", "kid", "key", "not_before", "not_after")


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The Ed25519 key `key` (32 bytes) of `spiffe_id` attests from `not_before` until before `not_after`."""

    spiffe_id: str
    kid: str
    key: bytes
    not_before: int
    not_after: int

    def valid_at(self, now: int) -> bool:
        """Whether what this key signed at that Unix time counts."""
        return self.not_before <= now < self.not_after


def attester_kid(key: bytes) -> str:
    """The name of an attester's public key."""
    return f"attester-{hashlib.sha256(key).hexdigest()[:16]}"


def sign_endorsement(endorsement: Endorsement, signer: Signer) -> bytes:
    """The envelope; `open_endorsement` gives the same value back."""
    value = {**asdict(endorsement), "key": encode_base64url(endorsement.key)}
    return sign_statement(TYPE, canonical_json(value), signer)


def open_endorsement(envelope: bytes, trust: Verifier, now: int, revoked: frozenset[str]) -> Endorsement:
    """Verify and read. The endorsing key must be valid at `now` (Unix seconds) and not be among the `revoked`.

    Raises: Untrusted("endorsement" | "dsse-…" | "trust-…" | "json-malformed").
    """
    payload = open_statement(envelope, TYPE, trust, ROLE, now, revoked)
    value = read_json_object(payload, MAX_ENDORSEMENT_BYTES)
    if canonical_json(value) != payload:
        raise _refused("not canonical JSON")
    fields = Fields(value, _refused, _MEMBERS)
    key = _key(fields.text("key", 64))
    if fields.matching("kid", KID) != attester_kid(key):
        raise _refused("the key has another name")
    return Endorsement(
        fields.matching("spiffe_id", ISSUER),
        fields.text("kid"),
        key,
        fields.number("not_before"),
        fields.number("not_after"),
    )


def _key(text: str) -> bytes:
    try:
        key = decode_base64url(text)
    except Rejected as error:
        raise _refused("the key is not base64url") from error
    if len(key) != KEY_BYTES:
        raise _refused(f"expected a key of {KEY_BYTES} bytes")
    return key


def _refused(message: str) -> Untrusted:
    return Untrusted("endorsement", message)
