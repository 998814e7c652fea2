"""Tokens this POP has already validated, by SHA-256 of their complete text. Bounded; the text itself is not kept.

    known = cache.lookup(digest, trust_state, now)      # None: ask the component
    cache.remember(digest, claims, kid, validator.digest)

A hit is not trusted for what it was: `exp`, the signing key and the digest of the component that said yes are checked
each time, and everything that depends on the log or the policy is recomputed when the generation moved on.
Trust: holds claims of visitors in memory only, for at most a token's life after its last use.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from consent_core.audit.visitors import Person
from consent_core.decision.grant import NOT_IN_SYNC, UNKNOWN_POLICY, grant_of
from consent_core.decision.grant import Grant as Grant
from consent_core.decision.seams import TrustState
from consent_core.errors import Rejected
from consent_core.formats.subject import subject_of
from consent_core.formats.token import Claims
from runtime_host.pop.serving.lru import LruCache


@dataclass(slots=True)
class KnownToken:
    """One validated token. `grants` and `arms` belong to the pipeline and hold nothing the claims do not imply."""

    claims: Claims
    kid: str
    subject: str
    person: "Person"  # what the audit trail seals under this visitor's key
    validator: str
    checked_at: int  # the generation at which key and text were last found good
    digest: str  # hex SHA-256 of the text
    grants: dict[tuple[str, bool], Grant] = field(default_factory=dict)
    entropy: dict[tuple[str, int], int] = field(default_factory=dict)


class TokenCache:
    """The validated tokens of one POP; none of a visitor who was erased. Used on the event loop's thread only."""

    def __init__(self, entries: int, erased: Callable[[str], bool] = lambda _: False) -> None:
        self._erased = erased
        self._known: LruCache[bytes, KnownToken] = LruCache(entries)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def lookup(
        self, text: bytes, validator: str, trust_state: TrustState, generation: int, now: int
    ) -> KnownToken | None:
        """The token if it was validated before and would be again, None if the component must say.

        Raises: Rejected("token-expired"), Rejected("token-key-revoked"), as the component or the log would.
        """
        digest = hashlib.sha256(text).digest()
        known = self._known.get(digest)
        if known is None or known.validator != validator:
            self.misses += 1
            return None
        if known.claims.exp <= now:
            self._known.drop(digest)
            raise Rejected("token-expired", f"{now - known.claims.exp} s ago", status=401)
        if known.checked_at != generation:
            self._recheck(digest, known, trust_state, generation)
        self.hits += 1
        return known

    def remember(self, text: bytes, claims: Claims, kid: str, validator: str, generation: int) -> KnownToken:
        """Keep a token that the component `validator` accepted under this generation; one long unused gives way."""
        subject = subject_of(claims.sub)
        person = Person(subject, (("sub", claims.sub), ("jti", claims.jti), ("ver", claims.ver)))
        digest = hashlib.sha256(text)
        known = KnownToken(claims, kid, subject, person, validator, generation, digest.hexdigest())
        if self._erased(subject):
            return known
        return self._known.put(digest.digest(), known)

    def forget(self, subject: str) -> int:
        """Drop every token of one visitor (64 hex digits). Returns how many there were."""
        return self._known.drop_if(lambda known: known.subject == subject)

    def holds(self, subject: str) -> int:
        """How many tokens of one visitor are here."""
        return self._known.count_if(lambda known: known.subject == subject)

    def _recheck(self, digest: bytes, known: KnownToken, trust_state: TrustState, generation: int) -> None:
        """`generation` was read before: what another process changes meanwhile is looked at next time."""
        try:
            check_token(known.kid, known.digest, trust_state)
        except Rejected:
            self._known.drop(digest)
            raise
        known.grants.clear()
        known.checked_at = generation


def check_token(kid: str, digest: str, trust_state: TrustState) -> None:
    """Refuse a token whose key no longer counts, or that was itself taken back. `digest`: hex SHA-256 of its text.

    Raises: as `check_key`; Rejected("token-revoked").
    """
    check_key(kid, trust_state)
    if trust_state.text_denied(digest):
        raise Rejected("token-revoked", "this very token was taken back", status=401)


def check_key(kid: str, trust_state: TrustState) -> None:
    """Refuse a key that the log took away or that is no longer published.

    Raises: Rejected("token-key-revoked"), Rejected("token-kid").
    """
    if trust_state.key_revoked(kid):
        raise Rejected("token-key-revoked", "the key that signed this token was revoked", status=401)
    published = trust_state.keys()
    if not any(key.kid == kid for key in published):
        raise Rejected("token-kid", "no key of that id", status=401)


def effective(known: KnownToken, jurisdiction: str, gpc: bool, trust_state: TrustState) -> Grant:
    """What this token allows for a request from `jurisdiction` with or without Sec-GPC.

    An unknown policy hash allows nothing and asks for one sync; an older one loses `STALE_OFF`.
    """
    if not trust_state.in_sync():
        return NOT_IN_SYNC
    key = (jurisdiction, gpc)
    grant = known.grants.get(key)
    if grant is None:
        grant = grant_of(known.claims, known.subject, jurisdiction, gpc, trust_state)
        if grant is UNKNOWN_POLICY:
            trust_state.request_sync()
        else:
            known.grants[key] = grant
    return grant
