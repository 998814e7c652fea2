"""From what places measured to the next release: every accepted update is used once, late ones in a later release.

    release = learn(database, releases, template, approved)      # Rejected("release-empty") where nothing is new

The newest release's master weights are the base. A week that fewer than three places sent waits until enough have.
"""

from collections.abc import Mapping

import numpy as np
from sqlalchemy import Connection, select

from consent_core.errors import Rejected
from consent_core.formats.release import Release
from consent_core.formats.template import WEIGHTS
from consent_core.formats.update import read_update
from consent_core.privacy.clipping import Floats
from consent_core.privacy.learning import Measurement
from consent_core.privacy.statement import promises
from control_plane.federated.aggregation import aggregated
from control_plane.federated.rounds import FEWEST, TRANSITIONS, Round, all_rounds, move
from control_plane.registry.baking import Template, seed_master
from control_plane.registry.releases import Approved, Made, Releases
from control_plane.store.database import Database
from control_plane.store.learning_schema import learning_updates

PUBLISHED = "published"


def learn(
    database: Database, releases: Releases, template: Template, seed: Mapping[str, bytes], approved: Approved
) -> Release:
    """Publish what follows from all updates that no release has used. seed: weights before the first release.

    Raises: Rejected("release-empty") if no week has enough of them.
    """
    known = releases.all()
    used = {digest for release in known for digest in release.updates}
    with database.read() as connection:
        weeks = [(found, rows) for found in all_rounds(connection) if (rows := _fresh(connection, found, used))]
    if not weeks or sum(map(len, (rows for _, rows in weeks))) < min(FEWEST, len(weeks[0][0].terms.plan)):
        raise Rejected("release-empty", "no week has enough updates that no release has used", status=409)
    master = releases.master_of(known[-1]) if known else {name: seed_master(row) for name, row in seed.items()}
    for found, rows in weeks:
        master = _learned(master, found, [measurement for _, measurement in rows])
    updates = tuple(digest for _, rows in weeks for digest, _ in rows)
    made = Made.of(master, updates=updates, privacy=_promise(weeks[-1][0]))
    release = releases.publish(template, made, approved)
    with database.write() as connection:
        for found, _ in weeks:
            if PUBLISHED in TRANSITIONS[found.state]:
                move(connection, found, PUBLISHED)
    return release


def _fresh(connection: Connection, found: Round, used: set[str]) -> list[tuple[str, Measurement]]:
    """A round's accepted updates that no release has used, once it is over; by digest, so that order is no choice."""
    if found.state == "open":
        return []
    table = learning_updates.c
    mine = (table.week == found.week) & (table.verdict == "accepted")
    rows = connection.execute(select(table.digest, table.pop, table.body).where(mine).order_by(table.digest))
    return [
        (digest, Measurement(pop, found.week, read_update(body).y)) for digest, pop, body in rows if digest not in used
    ]


def _learned(master: Mapping[str, Floats], found: Round, rows: list[Measurement]) -> dict[str, Floats]:
    """One week further; models that do not learn keep their weights."""
    models = found.terms.models
    joined = aggregated(np.concatenate([master[model] for model in models]), found, rows)
    taught = {model: joined[n * WEIGHTS : (n + 1) * WEIGHTS] for n, model in enumerate(models)}
    return {**master, **taught}


def _promise(found: Round) -> dict[str, object]:
    rows = [promise.to_json() for promise in promises(found.terms.mechanism)]
    return {"mechanism": found.terms.mechanism.to_json(), "updates_show": rows}
