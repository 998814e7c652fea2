"""What one POP keeps on disk: a single SQLite file, `pop.db`, and the rules for every row in it.

    store = PopStore(Path(".edge/pops/tokyo-1/pop.db"), SystemClock())
    store.history.record(Interaction(subject, ver=3, category="behavioral", kind="click", item="tent-2"))
    store.withdraw(Withdrawal(key, session, subject, below=4, categories=("behavioral",)))

Each table is one module: `history`, `tombstones`, `sessions`, `revocations` (read) and `revoking` (written),
`followed_log`, `outbox`, `queue`.
`store` joins them where one transaction must cover several (a revocation, a withdrawal, a purge). Nothing here talks to
the network; what may be believed is decided in `runtime_host.pop.sync`. Trust sentences: `docs/stores.md`.
"""

from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.history import Interaction, Kept
from runtime_host.pop.stores.outbox import Withdrawal
from runtime_host.pop.stores.queue import Row
from runtime_host.pop.stores.revocations import Change
from runtime_host.pop.stores.sessions import Session
from runtime_host.pop.stores.store import DeniedText, PopStore

__all__ = [
    "Change",
    "Database",
    "DeniedText",
    "Interaction",
    "Kept",
    "PopStore",
    "Row",
    "Session",
    "Withdrawal",
]
