"""What the control plane knows of a person, and all that Art. 15(1) GDPR asks to be told beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from consent_core.formats.consent import RETENTION_S
from control_plane.consent import records
from control_plane.dsar.store import Request
from control_plane.proofs.store import ProofStore
from control_plane.store.schema import sessions

DAY_S = 86_400
RECIPIENTS = (
    "the host that runs this site's places of service (processor)",
    "the network that delivers its pages (processor)",
    "the collector of its operating figures, which name nobody (processor)",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one store. `recipients`: named by this operator; a lawyer completes them."""

    proofs: ProofStore
    retention_s: int
    proof_kept_days: int
    recipients: tuple[str, ...] = field(default=RECIPIENTS)

    def known(self, connection: Connection, request: Request, subject: str) -> dict[str, Any]:
        """The data held here, and, for access, what is told of it."""
        visitor = records.find_visitor(connection, subject=subject)
        versions = () if visitor is None else records.history(connection, visitor.sub)
        of_person = select(func.count()).select_from(sessions).where(sessions.c.sub == (visitor and visitor.sub))
        data = {
            "subject": subject,
            "pseudonym": None if visitor is None else visitor.sub,
            "record_id": None if visitor is None else visitor.record_id,
            "versions": [_version(record) for record in versions],
            "sessions": 0 if visitor is None else int(connection.scalar(of_person) or 0),
            "proofs": [json.loads(proof.body) for proof in self.proofs.of(connection, subject)],
        }
        return {"data": data, **(self._told() if request.kind == "access" else {})}

    def _told(self) -> Mapping[str, Any]:
        """GDPR Art. 15(1)(a) to (h); 11 CCR 7024 for California."""
        days = {category: seconds // DAY_S for category, seconds in RETENTION_S.items()}
        return {
            "purposes": {
                "contextual": "pictures and offers that fit the page that is read",
                "behavioral": "offers from what this person looked at and bought here",
                "experimental": "finding out which of several versions of the page is better",
                "proof": "showing what was agreed to, and that a no was enforced",
            },
            "categories_of_data": [
                "choices and their receipts",
                "items looked at, clicked and bought",
                "test arms shown",
            ],
            "recipients": list(self.recipients),
            "retention_days": {**days, "record": self.retention_s // DAY_S, "proofs": self.proof_kept_days},
            "source": "this person's own visits to this site; nothing comes from elsewhere",
            "automated_decisions": "A picture or a text is chosen by the items of this person's own history and the "
            "page that is read. The record of each decision names the component that chose, its release, the category "
            "and the rule. No choice has a legal or a similarly significant effect.",
            "transfers": "Each place of service keeps what happened there; each version names its law.",
            "rights": ["rectification", "erasure", "restriction", "objection", "portability"],
            "complaint": "to the authority of the place where this person lives or works",
            "sold_or_shared": [],
            "look_back_days": self.retention_s // DAY_S,
        }


def _version(record: records.Record) -> dict[str, Any]:
    names = ("ver", "source", "basis", "jurisdiction", "gpc", "gpc_honoured", "age_band", "region", "policy_hash", "at")
    value = {name: getattr(record, name) for name in names}
    words = {category: word.state for category, word in record.words.items()}
    return {**value, "categories": list(record.categories), "reasons": record.reasons, "words": words}
