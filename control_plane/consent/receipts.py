"""What a receipt says of one version of a record. Fields: ISO/IEC TS 27560; signing: role `log`."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.formats.consent import RETENTION_S
from consent_core.formats.receipt import TYP, Purpose, Receipt, receipt_payload
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.trust.keys import KeyStore
from control_plane.consent.records import Record, Visitor
from control_plane.consent.tokens import sign_jws

# category -> what is learnt under it, how it is processed
_PROCESSING: Mapping[str, tuple[tuple[str, ...], str]] = {
    "contextual": (("the page being viewed",), "chosen at the edge from the current page; nothing is kept"),
    "behavioral": (("impressions, clicks and purchases here",), "chosen at the edge from history kept at one POP"),
    "experimental": (
        ("the experiment arm and its outcome",),
        "assigned at the edge; reported with differential privacy",
    ),
}
_LAWFUL_BASIS = {"consent": "consent", "notice": "notice with opt-out"}
_EVENT_TYPE = {
    "grant": "explicit",
    "notice": "notice",
    "withdrawal": "withdrawal",
    "gpc": "opt-out preference signal",
    "restore": "restored after a loss",
}
LANGUAGE = "en"  # of the clauses under legal/
_NOTICE = ("clause_id", "clause_sha256")
WITHDRAWAL_METHOD = "DELETE /v1/consent, or the switch on the site's consent panel"


@dataclass(frozen=True, slots=True)
class Receipts:
    """Writes receipts in the name of `controller`."""

    keys: KeyStore
    controller: str

    def issue(self, visitor: Visitor, record: Record) -> str:
        """The signed receipt of one version. `visitor`: as before it."""
        receipt = Receipt(
            receipt_id=encode_base64url(secrets.token_bytes(16)),
            record_id=visitor.record_id,
            ver=record.ver,
            pii_principal_id=visitor.subject,
            privacy_notice={name: record.notice[name] for name in _NOTICE if name in record.notice},
            language=record.notice.get("language", LANGUAGE),
            jurisdiction=record.jurisdiction,
            region=record.region,
            age_band=record.age_band,
            gpc=record.gpc,
            gpc_honoured=record.gpc_honoured,
            policy_hash=record.policy_hash,
            purposes=tuple(_purpose(category, record) for category in CATEGORIES),
            parties=({"party_id": self.controller, "party_role": "controller"},),
            events=(_event(visitor, record),),
            follows=visitor.ver,
        )
        return sign_jws(receipt_payload(receipt), TYP, self.keys.current("log"))


def _purpose(category: str, record: Record) -> Purpose:
    information, method = _PROCESSING[category]
    return Purpose(
        purpose=category,
        state=_state(category, record),
        effective=category in record.categories,
        reason=record.reasons.get(category, "not-chosen"),
        lawful_basis=_LAWFUL_BASIS["notice" if _by_notice(category, record) else "consent"],
        pii_information=information,
        processing_method=method,
        storage_locations=("the POP that served the visit",),
        retention_period_s=RETENTION_S[category],
        recipient_third_parties=(),
        withdrawal_method=WITHDRAWAL_METHOD,
    )


def _by_notice(category: str, record: Record) -> bool:
    state = record.words[category].state
    return state == "notified" or (state == "not-given" and record.basis == "notice")


def _state(category: str, record: Record) -> str:
    """A category is withdrawn only if it was held: by a no, or by a signal."""
    state = record.words[category].state
    return "withdrawn" if state == "signalled" else state


def _event(visitor: Visitor, record: Record) -> dict[str, str | int]:
    return {
        "event_type": _EVENT_TYPE[record.source],
        "event_state": "withdrawn" if record.revoked else "given" if record.choices else "refused",
        "event_time": record.at,
        "validity_duration_s": visitor.retain_until - record.at,
        "entity_id": record.region,
    }
