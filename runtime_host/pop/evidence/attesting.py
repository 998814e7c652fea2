"""Attests what this POP is and does: once a minute, at each change of what is in force, at start and stop.

    attester = Attester(key, store, clock, state)
    attester.look()            # once a second: notes whether the POP is in sync, and says whether one is due
    attester.attest("interval")

Number, chain and the row that is to be sent are one transaction, so a number is never used twice. Nothing is attested
before the control plane has said what it knows of this place: a restored store then begins another life.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from consent_core.clock import Clock
from consent_core.formats.attestation import (
    MAX_APPLIED,
    Attestation,
    LogPosition,
    PolicyInForce,
    malformed,
    sign_attestation,
)
from consent_core.formats.attester import Known
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.seen import Seen, read_seen
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.attested import End

MAX_SPANS = 256  # of being in sync, in one attestation
GAP_S = 2  # between two looks that still belong to one span


@dataclass(frozen=True, slots=True)
class State:
    """What is in force at this moment. heads: of each trail of this POP."""

    policy: PolicyInForce | None
    in_sync: bool
    components: Mapping[str, str]
    releases: Mapping[str, str]
    heads: Mapping[str, str]


class Attester:
    """One POP's chain. `_spans`: when it was in sync since the last attestation; `ready`: the chain's end is agreed.

    `_said`: policy, components and releases as last attested.
    """

    def __init__(
        self, spiffe_id: str, key: AttesterKey, store: PopStore, clock: Clock, state: Callable[[], State], every_s: int
    ) -> None:
        self.spiffe_id = spiffe_id
        self.key = key
        self.ready = False
        self.seen: Seen = read_seen(store.attested.end().seen, malformed)
        self._store = store
        self._clock = clock
        self._state = state
        self._every_s = every_s
        self._spans: list[tuple[int, int]] = []
        self._said: tuple[object, ...] | None = None

    def agree(self, known: Known) -> None:
        """Take over what the control plane knows of this place, where it is ahead: then this store is an older one."""
        end = self._store.attested.end()
        ahead = (known.life, known.n) > (end.life, end.n)
        other = known.n > 0 and (known.life, known.n) == (end.life, end.n) and known.hash != end.hash
        if ahead or other:
            self._store.attested.restart(replace(end, life=known.life + 1, n=0, hash=known.hash, began=0))
        self.ready = True

    def look(self) -> str | None:
        """Note whether the POP is in sync now. Returns: the kind of attestation that is due, None if none is."""
        now, state = self._clock.now(), self._state()
        if state.in_sync:
            self._extend(now)
        if not self.ready:
            return None
        if self._said is None:
            return "start"
        if self._said != _in_force(state):
            return "activation"
        due = now - self._store.attested.end().until >= self._every_s
        return "interval" if due or self._is_full() else None

    def attest(self, kind: str) -> Attestation:
        """Make the next attestation; with its number on the disk when this returns. Raises: Unavailable."""
        attested, state, now = self._store.attested, self._state(), self._clock.now()
        end = attested.end()
        attestation = self._next(kind, end, state, max(now, end.until))
        text = sign_attestation(attestation, self.key)
        following = End(
            life=attestation.life,
            n=attestation.n,
            hash=sha256_digest(text.encode()),
            until=attestation.until,
            began=end.began or attestation.until,
            seen=self.seen.text,
        )
        attested.commit(following, attestation.log.position, attestation.audit, text)
        self._spans, self._said = [], _in_force(state)
        return attestation

    def _next(self, kind: str, end: End, state: State, until: int) -> Attestation:
        position = self._store.log.position  # a page that is applied meanwhile is the next one's to tell
        applied = self._store.attested.applied(position.position)
        complete = len(applied) < MAX_APPLIED
        return Attestation(
            iss=self.spiffe_id,
            iat=self._clock.now(),
            kind=kind,
            life=max(end.life, 1),
            n=end.n + 1,
            prev=end.hash,
            since=end.until or until,
            until=until,
            components=state.components,
            releases=state.releases,
            policy=state.policy,
            log=LogPosition(
                position.origin or "",
                position.position if complete else applied[-1][0],
                applied,
                tuple(self._spans[:MAX_SPANS]),
            ),
            seen=self.seen,
            audit=state.heads,
        )

    def _extend(self, now: int) -> None:
        if self._spans and now - self._spans[-1][1] <= GAP_S:
            self._spans[-1] = (self._spans[-1][0], now)
        else:
            self._spans.append((now, now))

    def _is_full(self) -> bool:
        return len(self._spans) >= MAX_SPANS or len(self._store.attested.applied()) >= MAX_APPLIED


def _in_force(state: State) -> tuple[object, ...]:
    """What an activation is about."""
    policy = None if state.policy is None else state.policy.hash
    return policy, tuple(sorted(state.components.items())), tuple(sorted(state.releases.items()))
