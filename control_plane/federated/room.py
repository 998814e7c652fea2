"""The room put together: rounds, intake, and what is read of both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, select

from consent_core.clock import Clock
from consent_core.errors import Rejected
from control_plane.federated import budget
from control_plane.federated.intake import Intake
from control_plane.federated.log import VerdictLog
from control_plane.federated.rounds import Newest, Rounds, all_rounds, find
from control_plane.policies.current import Policies
from control_plane.store.database import Database
from control_plane.store.learning_schema import learning_budget, learning_updates


@dataclass(frozen=True, slots=True)
class Federated:
    """Everything about learning across places."""

    database: Database
    rounds: Rounds
    intake: Intake

    @classmethod
    def of(cls, database: Database, policies: Policies, clock: Clock, data: Path, newest: Newest) -> Self:
        """Over one store. newest: the release that a week is trained at which begins now."""
        rounds = Rounds(database, policies, clock, newest)
        return cls(database, rounds, Intake(database, clock, VerdictLog(data / "logs" / "fl")))

    def round(self, week: str, pop: str | None) -> dict[str, Any]:
        """What a place needs to train and finish a week; its own budget lines, if `pop` asks.

        Raises: Rejected("round-unknown", 404).
        """
        with self.database.read() as connection:
            found = find(connection, week)
            if found is None:
                raise Rejected("round-unknown", "no round of that week", status=404)
            shown = {"week": week, "state": found.state, "base": dict(found.base), "policy": found.policy}
            lines = [] if pop is None else budget.shown(connection, pop)
        return {**shown, "mechanism": found.terms.mechanism.to_json(), "ledger": lines}

    def spent(self, now: int) -> dict[str, float]:
        """By place, the share of its promise that is spent in the worst row of weeks that this week is part of."""
        with self.database.read() as connection:
            rounds = all_rounds(connection)
            places = sorted(set(connection.scalars(select(learning_budget.c.pop)))) if rounds else []
            return {place: budget.share(connection, place, now, rounds[-1].terms.mechanism) for place in places}

    def overview(self) -> dict[str, Any]:
        """Every round with the places that sent, those missing, and each place's lines."""
        with self.database.read() as connection:
            rows = [
                {"week": found.week, "state": found.state, "base": dict(found.base), **_sent(connection, found.week)}
                | {"missing": sorted(set(found.terms.plan) - set(_sent(connection, found.week)["accepted"]))}
                for found in all_rounds(connection)
            ]
            places = sorted({place for row in rows for place in row["accepted"]})
            return {"rounds": rows, "budget": {place: budget.shown(connection, place) for place in places}}


def _sent(connection: Connection, week: str) -> dict[str, Any]:
    table = learning_updates.c
    rows = connection.execute(
        learning_updates.select().with_only_columns(table.pop, table.verdict).where(table.week == week)
    ).all()
    return {
        "accepted": sorted(pop for pop, verdict in rows if verdict == "accepted"),
        "conflicts": sorted(pop for pop, verdict in rows if verdict != "accepted"),
    }
