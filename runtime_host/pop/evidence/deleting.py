"""Says of a purged visitor what was deleted here, once every part was deleted and counted again.

    made = Deleter(attester, store, clock).state()

`erasing.py` decides that; this only signs it, after the attestation that says the purge is in force.
"""

from consent_core.clock import Clock
from consent_core.formats.statement import After, Deletion, sign_statement
from runtime_host.pop.evidence.attesting import Attester
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.attested import Attested, OwedDeletion

PROFILE = "pop/v1"


class Deleter:
    """One POP's deletion statements."""

    def __init__(self, attester: Attester, store: PopStore, clock: Clock) -> None:
        self._attester = attester
        self._store = store
        self._clock = clock

    def state(self) -> int:
        """Make the statement of every purge that is done here and attested; how many. Raises: Unavailable."""
        newest = self._store.attested.newest()
        owed = () if newest is None else self._store.attested.deletions(newest.position)
        if newest is not None:
            for purge in owed:
                self._store.attested.state_deletion(purge.seq, self._statement(purge, newest))
        return len(owed)

    def _statement(self, purge: OwedDeletion, newest: Attested) -> str:
        statement = Deletion(
            iss=self._attester.spiffe_id,
            iat=self._clock.now(),
            seen=self._attester.seen,
            request="",
            subject=purge.subject,
            seq=purge.seq,
            after=After(newest.life, newest.n, newest.hash),
            parts=PROFILE,
            deleted=purge.deleted,
            remaining=dict.fromkeys(purge.deleted, 0),
            ends=purge.ends,
            at=purge.at,
        )
        return sign_statement(statement, self._attester.key)
