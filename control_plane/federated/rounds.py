"""The weeks of learning as a table of states.

    rounds.tick()                        # opens the week that runs now, closes those that may be added up
    round = find(connection, "2027-W02")

A round is opened under the policy and the releases that are in force then, and keeps both: a later policy changes no
week that has begun. Two control planes may tick at once; the week's name is the lock.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from consent_core.clock import Clock
from consent_core.formats.canonical import canonical_json
from consent_core.policy.learning import LearningPolicy, read_learning
from consent_core.privacy.weeks import WEEK_S, monday_of, week_of
from control_plane.policies.current import Policies
from control_plane.store.database import Database, lock_name
from control_plane.store.learning_schema import learning_rounds, learning_updates

CLOSES_S: Final = 6 * 3600  # after the week's end: Monday 06:00
LATE_S: Final = WEEK_S  # after the week's end an update is refused
FEWEST: Final = 3  # places whose updates make a release of their own

# state -> event -> state. `empty`: too few places; their measurements count in the next release.
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "open": {"all-in": "closed", "monday": "closed"},
    "closed": {"enough": "candidate", "few": "empty"},
    "candidate": {"published": "released"},
    "released": {},
    "empty": {"published": "released"},
}

Newest = Callable[[], str]  # name of the newest release, "seed" before the first


@dataclass(frozen=True, slots=True)
class Round:
    """One week: its state, what gradients are taken at, and under which policy."""

    week: str
    state: str
    base: Mapping[str, str]
    policy: str
    terms: LearningPolicy


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of one store. newest: asked when a week is opened."""

    database: Database
    policies: Policies
    clock: Clock
    newest: Newest

    def tick(self) -> None:
        """Open the running week, if the policy in force has learning, and close what may be added up."""
        now = self.clock.now()
        with self.database.write() as connection:
            self._open(connection, week_of(now), now)
            for found in _in_state(connection, "open"):
                if now >= monday_of(found.week) + WEEK_S:
                    self._close(connection, found, now)

    def _open(self, connection: Connection, week: str, now: int) -> None:
        lock_name(connection, f"learning/{week}")
        policy = self.policies.current(connection)
        settings = policy.bundle.settings
        learning = read_learning(settings)
        if learning is None or find(connection, week) is not None:
            return
        releases = canonical_json(dict.fromkeys(learning.models, self.newest())).decode()
        row = {"week": week, "state": "open", "base": releases, "policy": policy.hash}
        connection.execute(insert(learning_rounds).values(**row, terms=json.dumps(settings["learning"]), at=now))

    def _close(self, connection: Connection, found: Round, now: int) -> None:
        sent, enough = _places(connection, found.week), _enough(found)
        if sent >= len(found.terms.plan):
            state = move(connection, found, "all-in")
        elif now >= monday_of(found.week) + WEEK_S + CLOSES_S:
            state = move(connection, found, "monday")
        else:
            return
        move(connection, state, "enough" if sent >= enough else "few")


def move(connection: Connection, found: Round, event: str) -> Round:
    """The round after an event. Raises: KeyError for an event that its state does not know (a bug)."""
    state = TRANSITIONS[found.state][event]
    connection.execute(update(learning_rounds).where(learning_rounds.c.week == found.week).values(state=state))
    return Round(found.week, state, found.base, found.policy, found.terms)


def find(connection: Connection, week: str) -> Round | None:
    """One round; None if no policy with learning was in force in that week."""
    row = connection.execute(select(learning_rounds).where(learning_rounds.c.week == week)).one_or_none()
    return None if row is None else _round(row)


def all_rounds(connection: Connection) -> list[Round]:
    """Every round, the oldest first."""
    return [_round(row) for row in connection.execute(select(learning_rounds).order_by(learning_rounds.c.week))]


def _in_state(connection: Connection, state: str) -> list[Round]:
    return [found for found in all_rounds(connection) if found.state == state]


def _round(row: Row[Any]) -> Round:
    learning = read_learning({"learning": json.loads(row.terms)})
    assert learning is not None
    return Round(row.week, row.state, json.loads(row.base), row.policy, learning)


def _places(connection: Connection, week: str) -> int:
    mine = (learning_updates.c.week == week) & (learning_updates.c.verdict == "accepted")
    return connection.scalar(select(func.count()).where(mine)) or 0


def _enough(found: Round) -> int:
    """A plan of fewer places than `FEWEST` would never have a release."""
    return min(FEWEST, len(found.terms.plan))
