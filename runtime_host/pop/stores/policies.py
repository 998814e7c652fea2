"""Which policies this POP has known, and which one the log demands. The bundle itself is a file: `sync.policy`."""

from dataclasses import dataclass

from consent_core.clock import Clock
from runtime_host.pop.stores.database import Database


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """A policy that was in force here. `since`: Unix seconds of its first activation."""

    hash: str
    revision: int
    since: int


class Policies:
    """The `policies` and `demanded` tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def activated(self, policy_hash: str, revision: int) -> None:
        """Note that a policy is in force."""
        with self._db.transaction():
            self._db.run("INSERT OR IGNORE INTO policies VALUES (?,?,?)", (policy_hash, revision, self._clock.now()))

    def known(self) -> tuple[KnownPolicy, ...]:
        """Every policy that was ever in force here, lowest revision first."""
        return tuple(KnownPolicy(*row) for row in self._db.rows("SELECT hash, revision, at FROM policies ORDER BY 2"))

    def newest(self) -> KnownPolicy | None:
        """The one of the highest revision."""
        return max(self.known(), key=lambda policy: policy.revision, default=None)

    def demand(self, policy_hash: str, seq: int) -> None:
        """Note that the log says which policy is to be in force, inside the transaction that applies the entry."""
        self._db.run("UPDATE demanded SET hash=?, seq=? WHERE seq<?", (policy_hash, seq, seq))

    def demanded(self) -> str | None:
        """The hash of the policy that the log demands, None if it never named one."""
        row = self._db.row("SELECT hash FROM demanded")
        return None if row is None else row[0]
