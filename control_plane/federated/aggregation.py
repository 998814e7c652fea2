"""From accepted updates to weights: a function of the archive, the plan and a base, the same bits in any order."""

from sqlalchemy import Connection, select

from consent_core.formats.update import read_update
from consent_core.privacy.clipping import FIGURES, Floats
from consent_core.privacy.learning import Measurement, learned
from control_plane.federated.rounds import Round
from control_plane.store.learning_schema import learning_updates


def measurements(connection: Connection, weeks: list[str]) -> list[Measurement]:
    """What places measured in these weeks and was accepted."""
    table = learning_updates.c
    rows = connection.execute(
        select(table.pop, table.week, table.body).where(table.week.in_(weeks), table.verdict == "accepted")
    )
    return [Measurement(pop, week, read_update(body).y) for pop, week, body in rows]


def aggregated(base: Floats, found: Round, rows: list[Measurement]) -> Floats:
    """The weights after one round. base: each model's weights in the round's order, without figures."""
    terms, own = found.terms, [Measurement(row.pop, row.week, row.y[:-FIGURES]) for row in rows]
    return learned(base, own, terms.plan, terms.mechanism, terms.step)
