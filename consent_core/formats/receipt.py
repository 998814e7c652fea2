"""The consent receipt: what a person gets for a choice, with the fields of ISO/IEC TS 27560, signed.

Wire format: `docs/formats/receipt.md`. A compact JWS, `typ: consent-receipt+jwt`, signed by role `log`: a reader who
holds the trust file can check it offline, and `pii_principal_id` is the name under which the revocation log speaks of
the same person.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.revocation import Trust
from consent_core.formats.token import decode_base64url

TYP = "consent-receipt+jwt"
SCHEMA = "ISO/IEC TS 27560:2023"
MAX_RECEIPT_BYTES = 8192
STATES = ("given", "not-given", "withdrawn", "notified")

_PURPOSE = (
    "purpose",
    "state",
    "effective",
    "reason",
    "lawful_basis",
    "pii_information",
    "processing_method",
    "storage_locations",
    "retention_period_s",
    "recipient_third_parties",
    "withdrawal_method",
)
_RECEIPT = (
    "schema_version",
    "receipt_id",
    "record_id",
    "ver",
    "pii_principal_id",
    "privacy_notice",
    "language",
    "jurisdiction",
    "region",
    "age_band",
    "gpc",
    "gpc_honoured",
    "policy_hash",
    "purposes",
    "parties",
    "events",
)


@dataclass(frozen=True, slots=True)
class Purpose:
    """One category as the person decided it, and what policy made of it."""

    purpose: str
    state: str
    effective: bool
    reason: str
    lawful_basis: str
    pii_information: tuple[str, ...]
    processing_method: str
    storage_locations: tuple[str, ...]
    retention_period_s: int
    recipient_third_parties: tuple[str, ...]
    withdrawal_method: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed consent record's content. Times are Unix seconds.

    follows: the version of this record's receipt before this one, 0 for the first; None where a receipt is older than
    this member, and then it is `ver` - 1.
    privacy_notice: {clause_id, clause_sha256}. parties: {party_id, party_role} each.
    events: {event_type, event_state, event_time, validity_duration_s, entity_id} each.
    """

    receipt_id: str
    record_id: str
    ver: int
    pii_principal_id: str
    privacy_notice: Mapping[str, str]
    language: str
    jurisdiction: str
    region: str
    age_band: str
    gpc: bool
    gpc_honoured: bool
    policy_hash: str
    purposes: tuple[Purpose, ...]
    parties: tuple[Mapping[str, str], ...]
    events: tuple[Mapping[str, str | int], ...]
    schema_version: str = SCHEMA
    follows: int | None = None


def receipt_payload(receipt: Receipt) -> bytes:
    """The JSON that is signed: compact, in one order."""
    # `asdict` copies every value, at ten times the cost.
    value = {name: getattr(receipt, name) for name in (*_RECEIPT, "follows")}
    value["purposes"] = [{name: getattr(purpose, name) for name in _PURPOSE} for purpose in receipt.purposes]
    if receipt.follows is None:
        del value["follows"]
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def open_receipt(text: str, trust: Trust, revoked: frozenset[str]) -> Receipt:
    """Verify a receipt and read it. Its key must have been valid when the receipt says that it was made.

    `revoked`: the keys that the verifier knows to be revoked.
    Raises: Untrusted("receipt-malformed" | "json-malformed" | "trust-…").
    """
    parts = text.split(".")
    if len(text) > MAX_RECEIPT_BYTES or len(parts) != 3 or not text.isascii():
        raise _malformed("expected a compact JWS")
    header = Fields(_part(parts[0]), _malformed, required=("alg", "typ", "kid"))
    header.one_of("alg", ("EdDSA",))
    header.one_of("typ", (TYP,))
    receipt = _read(_part(parts[1]))
    message, signature = f"{parts[0]}.{parts[1]}".encode("ascii"), _decoded(parts[2])
    trust.verify("log", header.text("kid"), message, signature, made_at(receipt), revoked)
    return receipt


def made_at(receipt: Receipt) -> int:
    """When the receipt says that its last event was, in Unix seconds. Raises: Untrusted("receipt-malformed")."""
    times = [event.get("event_time") for event in receipt.events]
    if not times or type(times[-1]) is not int:
        raise _malformed("events: expected one with its time")
    return int(times[-1])


def peek_receipt(text: str) -> dict[str, Any]:
    """The content of a receipt for display, nothing of it verified. Raises: Untrusted("receipt-malformed")."""
    parts = text.split(".")
    if len(text) > MAX_RECEIPT_BYTES or len(parts) != 3:
        raise _malformed("expected a compact JWS")
    return _part(parts[1])


def _read(value: dict[str, Any]) -> Receipt:
    fields = Fields(value, _malformed, required=_RECEIPT, optional=("follows",))
    return Receipt(
        receipt_id=fields.text("receipt_id"),
        record_id=fields.text("record_id"),
        ver=fields.number("ver"),
        pii_principal_id=fields.text("pii_principal_id"),
        privacy_notice=fields.mapping("privacy_notice"),
        language=fields.text("language"),
        jurisdiction=fields.text("jurisdiction"),
        region=fields.text("region"),
        age_band=fields.text("age_band"),
        gpc=fields.flag("gpc"),
        gpc_honoured=fields.flag("gpc_honoured"),
        policy_hash=fields.text("policy_hash"),
        purposes=tuple(_purpose(item) for item in fields.items("purposes", 8)),
        parties=tuple(_object(item) for item in fields.items("parties", 8)),
        events=tuple(_object(item) for item in fields.items("events", 8)),
        schema_version=fields.one_of("schema_version", (SCHEMA,)),
        follows=None if fields.absent("follows") else fields.number("follows"),
    )


def _purpose(value: object) -> Purpose:
    fields = Fields(value, _malformed, required=_PURPOSE)
    return Purpose(
        purpose=fields.text("purpose"),
        state=fields.one_of("state", STATES),
        effective=fields.flag("effective"),
        reason=fields.text("reason"),
        lawful_basis=fields.text("lawful_basis"),
        pii_information=_texts(fields, "pii_information"),
        processing_method=fields.text("processing_method"),
        storage_locations=_texts(fields, "storage_locations"),
        retention_period_s=fields.number("retention_period_s"),
        recipient_third_parties=_texts(fields, "recipient_third_parties"),
        withdrawal_method=fields.text("withdrawal_method"),
    )


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name, 16)
    if not all(isinstance(item, str) for item in items):
        raise _malformed(f"{name}: expected texts")
    return tuple(items)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed("expected an object")
    return value


def _part(text: str) -> dict[str, Any]:
    return read_json_object(_decoded(text), MAX_RECEIPT_BYTES)


def _decoded(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except Rejected as error:
        raise Untrusted("receipt-malformed", "a part is not base64url") from error


def _malformed(message: str) -> Untrusted:
    return Untrusted("receipt-malformed", message)
