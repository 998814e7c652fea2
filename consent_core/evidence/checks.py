"""The eighteen checks of an evidence file, in the order in which they are read. Every check runs."""

from collections.abc import Callable
from dataclasses import dataclass

from consent_core.evidence import consent, deletion, ledger, places
from consent_core.evidence.opening import Case
from consent_core.evidence.outcome import Outcome, outcome


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its number, its name for people, and what finds its outcome."""

    number: int
    name: str
    run: Callable[[Case], Outcome]


def form(case: Case) -> Outcome:
    """Check 1: the file was read already; what is left are bodies of an unknown form."""
    return outcome(case.problems_of("evidence-form"))


CHECKS: tuple[Check, ...] = (
    Check(0, "subject", consent.subject),
    Check(1, "form", form),
    Check(2, "signature", ledger.signature),
    Check(3, "keys", ledger.keys),
    Check(4, "witnesses", ledger.checkpoints),
    Check(5, "consistency", ledger.consistency),
    Check(6, "inclusion", ledger.inclusion),
    Check(7, "times", ledger.window),
    Check(8, "receipts", consent.receipts),
    Check(9, "withdrawal", consent.withdrawal),
    Check(10, "reports", places.reports),
    Check(11, "enforcement", places.enforcement),
    Check(12, "search", places.personalised),
    Check(13, "deletion", deletion.deletions),
    Check(14, "models", deletion.models),
    Check(15, "completeness", deletion.completeness),
    Check(16, "deadline", deletion.deadline),
    Check(17, "approvals", consent.approvals),
)

# Which checks must hold for the question that a file answers, besides 1 to 6.
NEEDED: dict[str, tuple[int, ...]] = {
    "consent": (8, 17),
    "enforcement": (8, 9, 10, 11, 12, 17),
    "deletion": (8, 9, 10, 11, 12, 13, 15, 17),
}
ALWAYS = (1, 2, 3, 4, 5, 6)
WITNESSES = 4  # not shown where the reader's trust file asks for too few: the reader's choice
