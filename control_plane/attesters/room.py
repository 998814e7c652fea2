"""The room put together: who endorses, who takes in, who gathers."""

from dataclasses import dataclass
from typing import Self

from consent_core.clock import Clock
from consent_core.trust.keys import KeyStore
from control_plane.attesters.endorsing import Endorsing
from control_plane.attesters.intake import Intake
from control_plane.attesters.statements import GATHER_S, Statements
from control_plane.ledger.entries import Entries
from control_plane.proofs.store import ProofStore
from control_plane.store.database import Database


@dataclass(frozen=True, slots=True)
class Attesters:
    """Everything about who attests."""

    endorsing: Endorsing
    intake: Intake
    statements: Statements

    @classmethod
    def of(
        cls,
        database: Database,
        keys: KeyStore,
        clock: Clock,
        proofs: ProofStore,
        entries: Entries,
        gather_s: int = GATHER_S,
    ) -> Self:
        """Over one store."""
        statements = Statements(database, proofs, entries, clock, gather_s)
        return cls(Endorsing(database, keys, clock), Intake(database, clock, statements), statements)
