"""What becomes of a key: the situations in which nothing that it signed may be opened, for tests of every opener.

rotated = Rotated.of(tmp_path, "component")
for name, (code, trust, now, revoked) in refusals(rotated).items(): …
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.trust.keys import KeyStore, SigningKey
from consent_core.trust.trust_file import TrustFile

START = 1_800_000_000
OVERLAP_S = 60
NOTHING: frozenset[str] = frozenset()

Refusal = tuple[str, TrustFile, int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A role whose second key began an hour after the first and ended at a third one's beginning."""

    key: SigningKey
    trust: TrustFile

    @classmethod
    def of(cls, directory: Path, role: str) -> "Rotated":
        """Rotate twice; `key` is the one in the middle: it has a beginning and an end."""
        clock = ManualClock(START - 3_600)
        store = KeyStore.open(directory, create=True, clock=clock)
        clock.advance(3_600)
        key = store.rotate(role, OVERLAP_S)
        store.rotate(role, OVERLAP_S)
        return cls(key, store.trust_file())

    @property
    def good(self) -> tuple[TrustFile, int, frozenset[str]]:
        """Trust, time and revoked keys by which what it signed opens."""
        return self.trust, START, NOTHING


def refusals(rotated: Rotated) -> Mapping[str, Refusal]:
    """Code, trust, time and revoked keys of each situation."""
    kid, trust = rotated.key.kid, rotated.trust
    return {
        "rotated out": ("trust-key-expired", trust, START + OVERLAP_S, NOTHING),
        "not yet valid": ("trust-key-expired", _beginning(trust, kid, START + 1), START, NOTHING),
        "revoked in the log": ("trust-key-revoked", trust, START, frozenset({kid})),
        "revoked in the trust file": ("trust-key-revoked", replace(trust, revoked={kid: START}), START, NOTHING),
    }


def _beginning(trust: TrustFile, kid: str, at: int) -> TrustFile:
    keys = (replace(key, not_before=at) if key.kid == kid else key for key in trust.trusted_keys)
    return trust.with_keys(tuple(keys))


SITUATIONS = ("rotated out", "not yet valid", "revoked in the log", "revoked in the trust file")
