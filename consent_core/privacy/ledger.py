"""What one place has spent, and when it may not spend more. Tuples of lines in, tuples of lines out.

    lines = spend(lines, "2027-W02", mechanism)        # Rejected("budget-exhausted") if five weeks would exceed it
    lines = merged(own, theirs)                        # before every spend: what the other side knows counts too

One ledger per deployment and place. Nothing refills it: it knows no model, category or version, a line is never taken
back, and a copy from a backup learns what it forgot from the other side before it spends again.
"""

from fractions import Fraction

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.budget_ledger import FIRST, BudgetLine
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.weeks import index_of, windows

Lines = tuple[BudgetLine, ...]


def head(lines: Lines) -> tuple[int, str]:
    """The last line's number and digest."""
    return (lines[-1].seq, lines[-1].digest) if lines else (0, FIRST)


def spend(lines: Lines, week: str, mechanism: Mechanism) -> Lines:
    """The ledger with one round more. Raises: Rejected("budget-exhausted"), also for a week that has its round."""
    if any(line.week == week and line.what != "conflict" for line in lines):
        raise Rejected("budget-exhausted", f"{week} was spent already", status=409)
    for window in windows(week, mechanism.weeks):
        if spent(lines, window) + mechanism.rho > mechanism.promised:
            raise Rejected("budget-exhausted", f"{mechanism.weeks} weeks with {week} are spent", status=409)
    return _with(lines, week, mechanism, "round")


def charge(lines: Lines, week: str, mechanism: Mechanism) -> Lines:
    """The ledger with a second story about a week: it was seen, so it counts, also where no budget is left."""
    return _with(lines, week, mechanism, "conflict")


def spent(lines: Lines, window: range) -> Fraction:
    """The rho spent in a row of weeks, given as indices."""
    return sum((line.rho for line in lines if index_of(line.week) in window), Fraction(0))


def merged(own: Lines, theirs: Lines) -> Lines:
    """Own lines and those that only the other side knows. Raises: Untrusted("budget-forked") where they contradict.

    `theirs` may be the last few lines only. Nothing is forgotten: both sides' spends count from now on.
    """
    known = {line.seq: line for line in own}
    if any(known.get(line.seq, line) != line for line in theirs):
        raise Untrusted("budget-forked", "two ledgers have different lines of one number", status=409)
    further = [line for line in theirs if line.seq > head(own)[0]]
    if further and further[0].seq == head(own)[0] + 1 and further[0].prev != head(own)[1]:
        raise Untrusted("budget-forked", "the next line follows another one", status=409)
    return (*own, *further)


def _with(lines: Lines, week: str, mechanism: Mechanism, what: str) -> Lines:
    seq, digest = head(lines)
    return (*lines, BudgetLine(seq + 1, digest, week, mechanism.rho, what, mechanism.digest))
