"""Tokens this POP has already validated, by SHA-256 of their complete text. Bounded; the text itself is not kept.

    known = cache.recall(digest, standing, now)      # None: ask the component
    cache.remember(digest, claims, kid, validator.digest)

A hit is not trusted for what it was: `exp`, the signing key and the digest of the component that said yes are checked
each time, and everything that depends on the log or the policy is recomputed when the generation moved on.
Trust: holds claims of visitors in memory only, for at most a token's life after its last use.
"""

import hashlib

from consent_core.audit.visitors import Person
from consent_core.errors import Rejected
from consent_core.formats.subject import subject_of
from consent_core.formats.token import Claims
from runtime_host.pop.serving.grants import Grant as Grant
from runtime_host.pop.serving.grants import KnownToken as KnownToken
from runtime_host.pop.serving.memory import Remembered
from runtime_host.pop.serving.seams import Standing


class TokenCache:
    """The validated tokens of one POP. Used on the event loop's thread only."""

    def __init__(self, entries: int) -> None:
        self._known: Remembered[bytes, KnownToken] = Remembered(entries)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, text: bytes, validator: str, standing: Standing, generation: int, now: int) -> KnownToken | None:
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
            self._recheck(digest, known, standing, generation)
        self.hits += 1
        return known

    def remember(self, text: bytes, claims: Claims, kid: str, validator: str, generation: int) -> KnownToken:
        """Keep a token that the component `validator` accepted under this generation; one long unused gives way."""
        subject = subject_of(claims.sub)
        person = Person(subject, (("sub", claims.sub), ("jti", claims.jti), ("ver", claims.ver)))
        known = KnownToken(claims, kid, subject, person, validator, generation)
        return self._known.put(hashlib.sha256(text).digest(), known)

    def forget(self, subject: str) -> int:
        """Drop every token of one visitor (64 hex digits). Returns how many there were."""
        return self._known.drop_if(lambda known: known.subject == subject)

    def _recheck(self, digest: bytes, known: KnownToken, standing: Standing, generation: int) -> None:
        """`generation` was read before: whatever another process changes meanwhile is looked at next time."""
        try:
            check_key(known.kid, standing)
        except Rejected:
            self._known.drop(digest)
            raise
        known.grants.clear()
        known.checked_at = generation


def check_key(kid: str, standing: Standing) -> None:
    """Refuse a key that the log took away or that is no longer published.

    Raises: Rejected("token-key-revoked"), Rejected("token-kid").
    """
    if standing.key_revoked(kid):
        raise Rejected("token-key-revoked", "the key that signed this token was revoked", status=401)
    published = standing.keys()
    if not any(key.kid == kid for key in published):
        raise Rejected("token-kid", "no key of that id", status=401)
