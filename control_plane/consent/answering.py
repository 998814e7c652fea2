"""What a POP is told: the record as it is, what is effective of it here and now, and a token for that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consent_core.clock import Clock
from consent_core.formats.consent import RETENTION_S, ConsentAnswer
from control_plane.consent.changes import numbers_of
from control_plane.consent.judging import judge, reasons_of, refused_now, taken_by_signal, within
from control_plane.consent.records import Record
from control_plane.consent.tokens import TokenIssuer
from control_plane.policies.current import Circumstances, Policy


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers in the name of one issuer. `retention_s`: of a record and its cookie."""

    tokens: TokenIssuer
    clock: Clock
    retention_s: int

    def answer(
        self, policy: Policy, record: Record, here: Circumstances, pop: str, refused: Mapping[str, int]
    ) -> ConsentAnswer:
        """What is effective now, with a token for it. `refused`: what the browser's own `consent-no` says."""
        decided = judge(policy, here, record.words, record.basis)
        allowed = within(decided.categories, record.categories)
        categories = within(allowed, set(allowed) - refused_now(record.words, refused))
        state = replace(
            self.state(record),
            categories=categories,
            reasons=reasons_of(record, decided, allowed),
            gpc_honoured=decided.gpc_honoured or record.gpc_honoured,
        )
        if not categories:  # a person with nothing effective is not followed by a token either
            return state
        issued = self.tokens.issue(record.sub, record.ver, categories, pop, policy.hash)
        return replace(state, token=issued.text, expires_at=issued.expires_at)

    def state(self, record: Record) -> ConsentAnswer:
        """The record as it is, without a token."""
        return ConsentAnswer(
            sub=record.sub,
            ver=record.ver,
            token=None,
            expires_at=None,
            choices=record.choices,
            categories=record.categories,
            reasons=record.reasons,
            source=record.source,
            revoked=record.revoked,
            gpc_honoured=record.gpc_honoured,
            receipt=record.receipt,
            retention={**RETENTION_S, "consent": self.retention_s},
            numbers=numbers_of(record.words),
        )

    def is_changed_by_signal(self, policy: Policy, record: Record, here: Circumstances) -> bool:
        """Whether this request's opt-out signal ends something that the record allows."""
        return bool(taken_by_signal(policy, record, here))
