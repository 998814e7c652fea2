"""What each place has spent, in the store. The place refused before it trained; this side refuses once more."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.budget_ledger import BudgetLine, read_lines
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.privacy.ledger import Lines, charge, merged, spend, spent
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.weeks import week_of, windows
from control_plane.store.learning_schema import learning_budget

SHOWN = 64  # lines that travel, as `budget_ledger.MAX_LINES`


def lines_of(connection: Connection, pop: str) -> Lines:
    """Every line of one place."""
    mine = learning_budget.c.pop == pop
    texts = connection.scalars(select(learning_budget.c.line).where(mine).order_by(learning_budget.c.seq))
    return tuple(read_lines([read_json_object(text.encode(), 4096)])[0] for text in texts)


def judged(own: Lines, theirs: Lines, week: str, mechanism: Mechanism) -> Lines:
    """Both sides' lines with the week's spend at the end.

    Raises: Untrusted("budget-forked"), Rejected("budget-exhausted"), Rejected("budget-mismatch") where the place's own
            line is not the one that follows.
    """
    union = merged(own, theirs)
    if union[-1] != theirs[-1]:
        raise Untrusted("budget-forked", "this side knows lines that the place does not", status=409)
    if spend(union[:-1], week, mechanism)[-1] != theirs[-1]:
        raise Rejected("budget-mismatch", "the ledger's last line is not this week's spend")
    return union


def share(connection: Connection, pop: str, now: int, mechanism: Mechanism) -> float:
    """How much of the promise a place has spent: 1 is all of it."""
    lines = lines_of(connection, pop)
    rows = windows(week_of(now), mechanism.weeks)
    return float(max(spent(lines, row) for row in rows) / mechanism.promised)


def keep(connection: Connection, pop: str, lines: Iterable[BudgetLine]) -> None:
    """Add the lines that the store lacks."""
    known = set(connection.scalars(select(learning_budget.c.seq).where(learning_budget.c.pop == pop)))
    for line in lines:
        if line.seq not in known:
            text = canonical_json(line.to_json()).decode()
            connection.execute(insert(learning_budget).values(pop=pop, seq=line.seq, line=text))


def charge_conflict(connection: Connection, pop: str, week: str, mechanism: Mechanism) -> None:
    """Count a second story about one week: refusing it does not unsee it."""
    keep(connection, pop, charge(lines_of(connection, pop), week, mechanism))


def shown(connection: Connection, pop: str) -> list[dict[str, object]]:
    """The last lines of a place, as rounds and `flctl budget` give them."""
    return [line.to_json() for line in lines_of(connection, pop)[-SHOWN:]]
