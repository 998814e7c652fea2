"""Whether the components that run here still count: their signatures are judged again while they run.

    components = Components({loaded.digest: loaded.seal}, sync.trust, state.now, store.revocations.revoked_keys)
    components.look()                 # every second, and when the log takes a key away
    components.refusal(digest)        # None, or why it may not be asked any more

A key that is revoked, rotated out or taken from the trust file takes what it signed out of service; default meanwhile.
What cannot be looked at (a disk that does not answer) stays as it was: being in sync is `sync`'s business.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from consent_core.errors import Untrusted
from consent_core.trust.trust_file import TrustFile

LOOK_EVERY_S = 1.0


class Seal(Protocol):
    """A manifest and its signature, as they were read when the component was loaded."""

    def open(self, trust: TrustFile, now: int, revoked: frozenset[str]) -> object:
        """Return if a key that counts now signed it. Raises: Untrusted."""
        ...


class Components:
    """The seals of what runs here, by digest. `_refused` is replaced whole."""

    def __init__(
        self,
        seals: Mapping[str, Seal],
        trust: Callable[[], TrustFile],
        now: Callable[[], int],
        revoked: Callable[[], frozenset[str]],
    ) -> None:
        self._seals = dict(seals)
        self._trust = trust
        self._now = now
        self._revoked = revoked
        self._refused: Mapping[str, Untrusted] = {}

    def look(self) -> None:
        """Judge every seal by what is known now. Raises: Unavailable; then nothing changes."""
        trust, now, revoked = self._trust(), self._now(), self._revoked()
        found = {digest: self._judge(seal, trust, now, revoked) for digest, seal in self._seals.items()}
        self._refused = {digest: refusal for digest, refusal in found.items() if refusal is not None}

    def refusal(self, digest: str) -> Untrusted | None:
        """Why the component of this digest may not be asked; None if it may."""
        return self._refused.get(digest)

    @property
    def refused(self) -> Mapping[str, str]:
        """Code by digest of what is out of service."""
        return {digest: f"component-distrusted: {refusal.message}" for digest, refusal in self._refused.items()}

    @staticmethod
    def _judge(seal: Seal, trust: TrustFile, now: int, revoked: frozenset[str]) -> Untrusted | None:
        try:
            seal.open(trust, now, revoked)
        except Untrusted as error:
            return Untrusted("component-distrusted", error.message)
        return None
