"""A decision receipt as a visitor was given it: with the endorsement of the key that signed it.

    receipt = open_given({"receipt": "eyJ…", "endorsement": {…}}, trust, NO_LOG)

Trust file → endorsement → the POP's own key → receipt, all as of the receipt's own time.
"""

from collections.abc import Mapping
from typing import Any

from consent_core.decision.receipt import (
    MAX_RECEIPT_CHARACTERS,
    TYP,
    DecisionReceipt,
    malformed,
    open_receipt,
)
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.endorsement import Endorsement, open_endorsement
from consent_core.formats.fields import Fields
from consent_core.formats.jws import read_jws
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import TrustFile


def open_given(given: object, trust: TrustFile, revoked: frozenset[str]) -> DecisionReceipt:
    """Verify and read. Raises: Untrusted("decision-receipt-malformed" | "endorsement" | "trust-…" | "dsse-…")."""
    fields = Fields(given, malformed, ("receipt", "endorsement"))
    text = fields.text("receipt", MAX_RECEIPT_CHARACTERS)
    at = _said_at(text)
    endorsement = _endorsement(fields.mapping("endorsement"), trust, at, revoked)

    def verify(kid: str, message: bytes, signature: bytes) -> None:
        if kid != endorsement.kid:
            raise Untrusted("endorsement", "the endorsement is of another key than the receipt's")
        if kid in revoked or trust.revoked.get(kid, at + 1) <= at:
            raise Untrusted("trust-key-revoked", "the key of this POP was revoked")
        try:
            verify_signature("ed25519", endorsement.key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", "not signed by the key it names") from error

    receipt = open_receipt(text, verify)
    if receipt.iss != endorsement.spiffe_id or not endorsement.valid_at(receipt.at):
        raise Untrusted("endorsement", "the key was not endorsed for this POP at that time")
    return receipt


def _endorsement(envelope: Mapping[str, Any], trust: TrustFile, at: int, revoked: frozenset[str]) -> Endorsement:
    try:
        text = canonical_json(envelope)
    except ValueError as error:
        raise malformed("the endorsement is not JSON of its form") from error
    return open_endorsement(text, trust, at, revoked)


def _said_at(text: str) -> int:
    """When the receipt says that it was made; believed only once its signature is checked."""
    at = read_jws(text, TYP, MAX_RECEIPT_CHARACTERS, malformed).payload.get("at")
    if type(at) is not int:
        raise malformed("at: expected a whole number")
    return at
