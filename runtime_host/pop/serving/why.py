"""Why a visitor sees what they see: the slot answer with a signed receipt of its decision, for who asks.

    GET /v1/slots/home-hero?section=camping&why=1   →   {…, "why": {"receipt": "eyJ…", "endorsement": {…}}}

A default has no `why`: no component ran, and the answer is everybody's, byte for byte. Nothing of a receipt is kept.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consent_core.decision.receipt import DecisionReceipt, Input, malformed, sign_receipt
from consent_core.decision.request import read_query
from consent_core.formats.seen import read_seen
from consent_core.http.answers import Answer, to_json
from runtime_host.pop.evidence.key import AttesterKey, endorsement_in
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.pipeline import Pipeline, Visit
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores.attested import AttestedStore


def asks_why(query: bytes) -> bool:
    """Whether a slot's query has `why=1`. Queries without these bytes pay for nothing else."""
    return b"why=1" in query and read_query(query).get("why") == "1"


class DecisionReceipts:
    """Makes the receipt of a decided visit. `home`: of the POP's key. `attested`: knows the last checkpoint seen."""

    def __init__(self, spiffe_id: str, home: Path, pipeline: Pipeline, attested: AttestedStore) -> None:
        self._spiffe_id = spiffe_id
        self._key = AttesterKey.open(home)
        self._pipeline = pipeline
        self._attested = attested

    def sign(self, visit: Visit) -> str | None:
        """The JWS; None for a visit that ended with the default."""
        receipt = self._receipt(visit)
        return None if receipt is None else sign_receipt(receipt, self._key)

    def _receipt(self, visit: Visit) -> DecisionReceipt | None:
        shown, known, place, signals = visit.shown, visit.known, visit.place, visit.signals
        if shown is None or shown.decision is None or known is None or place is None or signals is None:
            return None
        return DecisionReceipt(
            iss=self._spiffe_id,
            at=self._pipeline.trust_state.now(),
            slot=place.slot.name,
            category=visit.category,
            jurisdiction=self._pipeline.law(visit),
            policy_hash=visit.grant.policy or "",
            token_exp=known.claims.exp,
            component=self._pipeline.decider.personalizers[visit.category].digest,
            input=Input(signals, place.offer.candidates, visit.entropy),
            output=shown.decision,
            seen=read_seen(self._attested.end().seen, malformed),
        )


class SlotRoute:
    """`GET /v1/slots/{slot}`. `home`: where the endorsement of the key that signs receipts is."""

    def __init__(self, delivery: Delivery, receipts: DecisionReceipts, home: Path) -> None:
        self._delivery = delivery
        self._receipts = receipts
        self._home = home

    async def get(self, call: Call) -> Answer:
        """The slot's answer; with `why` for who asks, where something was decided."""
        if not asks_why(call.query):
            return await self._delivery.slot(call.tail, call.query, call.headers, call.context)
        visit, answer = await self._delivery.decided(call.tail, call.query, call.headers, call.context)
        receipt = self._receipts.sign(visit)  # nothing is awaited after the last check in `decided`
        return answer if receipt is None else _with_why(answer, receipt, endorsement_in(self._home))


def _with_why(answer: Answer, receipt: str, endorsement: Mapping[str, Any] | None) -> Answer:
    body = to_json({**json.loads(answer.body), "why": {"receipt": receipt, "endorsement": endorsement}})
    kept = [header for header in answer.headers if header[0] != b"content-length"]
    return Answer(answer.status, [*kept, (b"content-length", str(len(body)).encode("ascii"))], body)
