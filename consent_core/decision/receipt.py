"""A decision receipt: what one slot was decided from and what came out, signed by the POP that decided.

    text = sign_receipt(receipt, attester_key)
    receipt = open_receipt(text, verify)                # verify(kid, message, signature) knows the endorsed key
    output_bytes(decision) == output_bytes(receipt.output)

It goes to the visitor who asks and is kept nowhere. It names no person; `input` holds that visitor's own signals.
Wire format: `docs/formats/decision-receipt.md`.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from consent_core.decision.contract import (
    ADJUSTMENT_LIMIT,
    ENTROPY_VALUES,
    Adjustment,
    Candidate,
    Decision,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.errors import Untrusted
from consent_core.formats.attestation import DIGEST, ISSUER
from consent_core.formats.canonical import canonical_json
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import JURISDICTION, Fields
from consent_core.formats.jws import Verify, read_jws, sign_jws
from consent_core.formats.seen import Seen, read_seen
from consent_core.formats.token import CATEGORIES

TYP = "consent-edge-decision+jwt"
MAX_RECEIPT_CHARACTERS = 262_144
MAX_ITEMS = 1_024  # of one list: candidates, copies, tags, interactions

_SLOT = re.compile(r"[a-z0-9-]{1,64}")
_TEXT = re.compile(r"(?s).{0,4096}")
_NAMED = ("iss", "at", "slot", "category", "jurisdiction", "policy_hash", "token_exp", "component")
_MEMBERS = (*_NAMED, "input", "output", "seen")


@dataclass(frozen=True, slots=True)
class Input:
    """Everything that the component was given besides the slot's name."""

    signals: Signals
    candidates: tuple[Candidate, ...]
    entropy: int


@dataclass(frozen=True, slots=True)
class DecisionReceipt:
    """One decision. at, token_exp: Unix seconds. seen: the last ledger checkpoint that the POP knew."""

    iss: str
    at: int
    slot: str
    category: str
    jurisdiction: str
    policy_hash: str
    token_exp: int
    component: str
    input: Input
    output: Decision
    seen: Seen


def sign_receipt(receipt: DecisionReceipt, signer: Signer) -> str:
    """The JWS; `open_receipt` gives the same value back."""
    named = {name: getattr(receipt, name) for name in _NAMED}
    value = {**named, "input": asdict(receipt.input), "output": asdict(receipt.output), "seen": receipt.seen.text}
    return sign_jws(TYP, value, signer)


def open_receipt(text: str, verify: Verify) -> DecisionReceipt:
    """Verify and read. Raises: Untrusted("decision-receipt-malformed") and what `verify` raises."""
    jws = read_jws(text, TYP, MAX_RECEIPT_CHARACTERS, malformed)
    verify(jws.kid, jws.message, jws.signature)
    fields = Fields(jws.payload, malformed, _MEMBERS)
    return DecisionReceipt(
        iss=fields.matching("iss", ISSUER),
        at=fields.number("at"),
        slot=fields.matching("slot", _SLOT),
        category=fields.one_of("category", CATEGORIES),
        jurisdiction=fields.matching("jurisdiction", JURISDICTION),
        policy_hash=fields.matching("policy_hash", DIGEST),
        token_exp=fields.number("token_exp"),
        component=fields.matching("component", DIGEST),
        input=_input(fields.mapping("input")),
        output=_output(fields.mapping("output")),
        seen=read_seen(fields.text("seen"), malformed),
    )


def output_bytes(output: Decision) -> bytes:
    """The one spelling of a decision: two decisions are equal if these bytes are."""
    return canonical_json(asdict(output))


def malformed(message: str) -> Untrusted:
    """The refusal of a decision receipt that is not of its form."""
    return Untrusted("decision-receipt-malformed", message)


def _input(value: object) -> Input:
    fields = Fields(value, malformed, ("signals", "candidates", "entropy"))
    candidates = tuple(_candidate(item) for item in fields.items("candidates", MAX_ITEMS))
    return Input(_signals(fields.mapping("signals")), candidates, _below(fields, "entropy", ENTROPY_VALUES))


def _signals(value: object) -> Signals:
    fields = Fields(value, malformed, ("page", "history", "experiment"))
    return Signals(
        page=None if fields.absent("page") else _page(fields.mapping("page")),
        history=None if fields.absent("history") else tuple(map(_interaction, fields.items("history", MAX_ITEMS))),
        experiment=None if fields.absent("experiment") else _arm(fields.mapping("experiment")),
    )


def _page(value: object) -> PageContext:
    fields = Fields(value, malformed, ("path", "section", "tags", "language"))
    path, section, language = (fields.matching(name, _TEXT) for name in ("path", "section", "language"))
    return PageContext(path, section, _texts(fields, "tags"), language)


def _interaction(value: object) -> Interaction:
    fields = Fields(value, malformed, ("kind", "item", "tags", "days_ago"))
    kind: Any = fields.one_of("kind", ("impression", "click", "purchase"))
    return Interaction(kind, fields.matching("item", _TEXT), _texts(fields, "tags"), _below(fields, "days_ago", 256))


def _arm(value: object) -> ExperimentArm:
    fields = Fields(value, malformed, ("experiment", "arm"))
    return ExperimentArm(fields.matching("experiment", _TEXT), fields.matching("arm", _TEXT))


def _candidate(value: object) -> Candidate:
    fields = Fields(value, malformed, ("asset", "tags", "copies"))
    return Candidate(fields.matching("asset", _TEXT), _texts(fields, "tags"), _texts(fields, "copies"))


def _output(value: object) -> Decision:
    fields = Fields(value, malformed, ("asset", "copy", "adjustment", "propensity", "explored"))
    return Decision(
        asset=fields.matching("asset", _TEXT),
        copy=fields.matching("copy", _TEXT),
        adjustment=_adjustment(fields.mapping("adjustment")),
        propensity=_below(fields, "propensity", ENTROPY_VALUES + 1),
        explored=fields.flag("explored"),
    )


def _adjustment(value: dict[str, Any]) -> Adjustment:
    if value.keys() != {"brightness", "saturation", "warmth"}:
        raise malformed("adjustment: expected brightness, saturation and warmth")
    if not all(type(percent) is int and abs(percent) <= ADJUSTMENT_LIMIT for percent in value.values()):
        raise malformed(f"adjustment: expected whole numbers of -{ADJUSTMENT_LIMIT} to {ADJUSTMENT_LIMIT}")
    return Adjustment(**value)


def _below(fields: Fields, name: str, limit: int) -> int:
    number = fields.number(name)
    if number >= limit:
        raise malformed(f"{name}: expected less than {limit}")
    return number


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name, MAX_ITEMS)
    if not all(isinstance(item, str) and _TEXT.fullmatch(item) for item in items):
        raise malformed(f"{name}: expected texts")
    return tuple(items)
