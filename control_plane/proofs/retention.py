"""How long proofs are kept, and that the clause which people read says the same.

A lawyer decides the number: the default is three years, within which most claims end. Keys go by whole months, rows
to the second; nothing outlives its term by more than the running sweep.
"""

import logging

from consent_core.policy.clauses import Clause

PROOF_KEPT_DAYS = 1_095
BACKUPS_KEPT_DAYS = 30  # after which no backup holds a destroyed key
CLAUSE = "retention"
DAY_S = 86_400

_LOG = logging.getLogger(__name__)


def is_named(clause: Clause | None, kept_days: int, backups_days: int) -> bool:
    """Whether the clause names both periods, in days, as people write them."""
    text = "" if clause is None else clause.text
    return f"after {kept_days:,} days" in text and f"within {backups_days:,} days" in text


def warn_unless_named(clause: Clause | None, kept_days: int, backups_days: int) -> None:
    """Say in the log that people are told something else than what is done."""
    if not is_named(clause, kept_days, backups_days):
        _LOG.warning("the clause %s does not say that proofs are kept for %d days", CLAUSE, kept_days)
