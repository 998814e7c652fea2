"""What a page is told: the state of a visitor's consent here and now, never a token and never a secret.

A state says what the record says, less what was taken back here, and what of it is effective for this request. A
receipt is told only while it is of the version that holds.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from consent_core.clock import Clock
from consent_core.decision.seams import TrustState
from consent_core.formats.consent import BELIEVED, ConsentAnswer
from consent_core.formats.refusals import Refusals
from consent_core.formats.session import Credentials, stored
from consent_core.formats.token import CATEGORIES, Claims
from runtime_host.pop.serving.last_answers import LastAnswer, LastAnswers
from runtime_host.pop.serving.routes.consent.asking import Asked
from runtime_host.pop.serving.routes.consent.notices import Notices
from runtime_host.pop.stores import Session
from runtime_host.pop.stores.outbox import Outbox

State = dict[str, Any]


class Table(Protocol):
    """The part of a policy table that says why."""

    def lookup(self, jurisdiction: str, gpc: bool, choices: tuple[str, ...]) -> Any:
        """An `Effective`."""
        ...


class States:
    """Makes states. `last_answers`: each session's last one, for as long as memory allows. `models`: by category."""

    def __init__(
        self,
        clock: Clock,
        trust_state: TrustState,
        outbox: Outbox,
        notices: Notices,
        last_answers: LastAnswers,
        models: Callable[[], Mapping[str, str]],
    ) -> None:
        self._clock = clock
        self._trust_state = trust_state
        self._outbox = outbox
        self._notices = notices
        self._last = last_answers
        self._models = models

    def remember(self, session: Credentials, last: LastAnswer) -> None:
        """Keep an answer for as long as memory allows."""
        self._last.put(stored(session.grant), last)

    def pending(self, owner: Session) -> bool:
        """Whether the control plane has yet to hear of something this visitor said here."""
        return self._outbox.waits(owner.subject)

    def waiting(self, owner: Session | None) -> dict[str, int]:
        """What this visitor said no to here and the control plane has yet to hear: by category, with its number."""
        noes = () if owner is None else self._outbox.pending_of(owner.subject)
        return {name: no.number or 0 for no in noes for name in no.categories or CATEGORIES}

    def last(self, session: Credentials | None) -> LastAnswer | None:
        """What the control plane last said of this session here."""
        return None if session is None else self._last.get(stored(session.grant))

    def told(
        self, asked: Asked, owner: Session | None, answer: ConsentAnswer, overruled: frozenset[str] = frozenset()
    ) -> State:
        """The state by an answer that has just come. `overruled`: what its own yes says of the request's refusals."""
        life = None if answer.token is None or answer.expires_at is None else answer.expires_at - self._clock.now()
        off = self._taken(owner, answer) | (asked.refusals.categories - overruled)
        effective = [name for name in answer.categories if name not in off]
        return self._state(asked, owner, answer, effective, answer.ver, life)

    def here(self, asked: Asked, owner: Session | None, taken: frozenset[str] = frozenset()) -> State:
        """The state by this POP's own knowledge. `taken`: what this very request takes back."""
        last = self.last(asked.sessions[0]) if len(asked.sessions) == 1 else None
        answer, claims = None if last is None else last.answer, _own_claims(asked, owner)
        off = self._lost(asked) | taken
        life = None if claims is None or taken else claims.exp - self._clock.now()
        ver = max(0 if claims is None else claims.ver, 0 if answer is None else answer.ver)
        effective = [name for name in asked.visit.grant.categories if name not in off]
        state = self._state(asked, owner, answer, effective, ver, life)
        if answer is None and claims is not None:
            state["choices"] = [name for name in CATEGORIES if name in claims.scopes and name not in off]
        state["choices"] = [name for name in state["choices"] if name not in taken]
        state["revoked"] = state["revoked"] or bool(taken) or asked.visit.grant.code == "revoked"
        return state

    def _lost(self, asked: Asked) -> frozenset[str]:
        """What the presented token has lost by now: others may have changed it since the request came."""
        known = asked.visit.known
        return frozenset() if known is None else self._trust_state.denied(known.subject, known.claims.ver)

    def _state(
        self,
        asked: Asked,
        owner: Session | None,
        answer: ConsentAnswer | None,
        effective: list[str],
        ver: int,
        life_s: int | None,
    ) -> State:
        taken = frozenset() if answer is None else self._taken(owner, answer)
        pending = owner is not None and self._outbox.waits(owner.subject)
        outdated = answer is None or pending or bool(taken) or (owner is not None and owner.ver > answer.ver)
        choices = [] if answer is None else [name for name in answer.choices if name not in taken]
        state: State = {
            "ver": ver,
            "choices": choices,
            "categories": effective,
            "revoked": pending or (answer is not None and answer.revoked),
            "jurisdiction": asked.jurisdiction,
            **self._law(asked, tuple(choices), answer),
            "receipt": None if outdated or answer is None else answer.receipt,
            "expires_in": None if life_s is None else max(0, life_s),
            "superseded": [] if answer is None or pending else superseded(asked.refusals, answer),
            "retention": {} if answer is None else dict(answer.retention),
            "notice": self._notices.named(asked.jurisdiction, asked.headers),
            "models": dict(self._models()),
        }
        return {**state, "pending": True} if pending else state

    def _taken(self, owner: Session | None, answer: ConsentAnswer) -> frozenset[str]:
        """What this POP knows to be taken back, also where the control plane has yet to hear of it."""
        if owner is None:
            return frozenset()
        waiting = self.waiting(owner).items()
        later = {name for name, number in waiting if number > answer.numbers.get(name, 0)}
        return self._trust_state.denied(owner.subject, answer.ver) | later

    def _law(self, asked: Asked, choices: tuple[str, ...], answer: ConsentAnswer | None) -> Mapping[str, Any]:
        """Why, and whether the signal counts here: by the policy in force and this very request.

        What the control plane knows besides (an age, say) is kept where the policy alone would allow.
        """
        policy = self._trust_state.policy
        known: Mapping[str, str] = {} if answer is None else answer.reasons
        if policy is None:
            return {"gpc_honoured": False, "reasons": dict(known)}
        table: Table = policy.table
        here = table.lookup(asked.jurisdiction, asked.gpc, choices)
        reasons = {
            name: known.get(name, here.reasons.get(name, "")) if name in here.categories else here.reasons.get(name, "")
            for name in CATEGORIES
        }
        return {"gpc_honoured": here.gpc_honoured, "reasons": {name: why for name, why in reasons.items() if why}}


def superseded(refusals: Refusals, answer: ConsentAnswer) -> list[dict[str, Any]]:
    """The entries of `consent-no` that the record has overtaken, or that no honest browser can have written.

    One without a number stays until a yes: nothing says whether it came before or after.
    """
    found = []
    for entry in refusals.entries:
        absurd = entry.number > answer.ver + BELIEVED
        overtaken = [
            name for name in entry.categories
            if absurd or (name in answer.choices and 0 < entry.number < answer.numbers.get(name, 0))
        ]  # fmt: skip
        if overtaken:
            found.append({"key": entry.key, "categories": overtaken})
    return found


def _own_claims(asked: Asked, owner: Session | None) -> Claims | None:
    """Those of the presented token, unless it is another visitor's than the session."""
    known = asked.visit.known
    if known is None or (owner is not None and owner.subject != known.subject):
        return None
    return known.claims
